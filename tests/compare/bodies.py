"""The requests. The same on every machine and in every run."""
import json
import random

MODEL = 'fast'  # an alias where there are aliases; the upstream takes any name
WORDS = ('a test of the parser fails when the buffer is empty so read the file again and return an error '
         'from the handler before the connection closes').split()


class Prose:
    """Text of a given length that looks like text."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)

    def __call__(self, size):
        text = ' '.join(self.random.choices(WORDS, k=size // 3 + 1))
        return text[:size]


def function(name, description, *parameters):
    properties = {name: {'type': 'string', 'description': text} for name, text in parameters}
    schema = {'type': 'object', 'properties': properties, 'required': [parameters[0][0]], 'additionalProperties': False}
    return {'type': 'function', 'name': name, 'description': description, 'strict': False, 'parameters': schema}


def namespace(name, *members):
    return {'type': 'namespace', 'name': name, 'description': f'The tools of {name}.', 'tools': list(members)}


def message(role, text):
    kind = 'output_text' if role == 'assistant' else 'input_text'
    return {'type': 'message', 'role': role, 'content': [{'type': kind, 'text': text}]}


WEATHER = function('get_weather', 'The weather in a city.', ('city', 'Name of the city'))
FILES = namespace('mcp__fs', function('read', 'Reads a file.', ('path', 'Absolute path')))
PATCHER = {'type': 'custom', 'name': 'apply_patch', 'description': 'Changes files.'}


def request(items, tools=(), stream=False, **members):
    return {'model': MODEL, 'stream': stream, 'input': items, 'tools': list(tools), **members}


def small():
    return request([message('user', 'What is the weather in Paris?')], [WEATHER])


def streamed(tool):
    return request([message('user', 'Go on.')], [tool], stream=True)


def history_of(kilobytes):
    """A conversation of so many KB, in messages of 1 KB."""
    prose, roles = Prose(), ('user', 'assistant')
    room = kilobytes * 1024 - len(json.dumps(request([], [FILES])))
    count = max(1, room // 1024)
    items = [message(roles[i % 2], prose(room // count - len(json.dumps(message(roles[i % 2], ''))) - 2)) for i in range(count)]
    return request(items, [FILES])


GRAMMAR = '''start: patch+
patch: "*** " KIND " File: " NAME NEWLINE line*
KIND: "Add" | "Delete" | "Update"
NAME: /[^\\n]+/
line: ("+" | "-" | " ") /[^\\n]*/ NEWLINE
%import common.NEWLINE
'''
PATCH = '*** Update File: src/"main".rs\n-let greeting = "hello";\n+let greeting = "größer";\n'


def coding_tools(peer):
    """25 tools, of which 43 functions can be called."""
    prose = Prose(2)

    def tool(number, size):
        return function(f'tool_{number:02}', prose(size), *((name, prose(60)) for name in ('path', 'command', 'timeout')))

    patcher = dict(PATCHER, description=prose(1500))
    schema = {'type': 'object', 'properties': {'query': {'type': 'string'}}, 'required': ['query']}
    search = {'type': 'tool_search', 'execution': 'client', 'description': prose(600), 'parameters': schema}
    tools = [tool(number, 900) for number in range(20)]
    tools += [namespace(f'mcp__ns{at}', *(tool(number, 700) for number in range(10))) for at in range(2)]
    if peer:  # refuses a grammar, and goes to look for the web
        return tools + [patcher, search]
    patcher['format'] = {'type': 'grammar', 'syntax': 'lark', 'definition': GRAMMAR}
    return tools + [patcher, search, {'type': 'web_search', 'external_web_access': False}]


def round_of(number, prose):
    """What one round of work leaves in the history."""
    call_id, arguments = f'call_{number}', json.dumps({'path': prose(280)})
    output = {'type': 'function_call_output', 'call_id': call_id, 'output': prose(2450)}
    call = {'type': 'function_call', 'name': f'tool_{number % 20:02}', 'arguments': arguments, 'call_id': call_id}
    kind = number % 5
    if kind == 0:
        thought = {'type': 'reasoning', 'summary': [], 'content': [{'type': 'reasoning_text', 'text': prose(400)}]}
        return [thought, message('assistant', prose(900)), message('user', prose(1500))]
    if kind == 2:
        return [dict(call, name=f'tool_{number % 10:02}', namespace=f'mcp__ns{number % 2}'), output]
    if kind == 3:
        patch = {'type': 'custom_tool_call', 'name': 'apply_patch', 'input': prose(280), 'call_id': call_id}
        return [patch, dict(output, type='custom_tool_call_output')]
    if kind == 4:
        found = namespace(f'mcp__found{number}', dict(function('look', prose(600), ('at', prose(60))), defer_loading=True))
        shared = {'call_id': call_id, 'status': 'completed', 'execution': 'client'}
        return [{'type': 'tool_search_call', 'arguments': {'query': prose(280)}, **shared},
                {'type': 'tool_search_output', 'tools': [found], **shared}, message('user', prose(1750))]
    return [call, output]


def plain_round(number, prose):
    """As much, in items that the peer takes."""
    call_id = f'call_{number}'
    return [{'type': 'function_call', 'name': f'tool_{number % 20:02}', 'arguments': json.dumps({'path': prose(280)}), 'call_id': call_id},
            {'type': 'function_call_output', 'call_id': call_id, 'output': prose(2600)}]


def coding(stream, peer=False):
    """What Codex sends late in a conversation: 450 KB, about 300 items of every kind."""
    prose, tools = Prose(3), coding_tools(peer)
    items = [message('developer', prose(60000 - len(json.dumps(tools))))]
    items += [item for number in range(1, 125) for item in (plain_round if peer else round_of)(number, prose)]
    if not peer:  # which fails to store an id that it has seen
        for number, item in enumerate(items):
            item['id'] = f"{item['type'][:3]}_{number:024}"
    return request(items, tools, stream, tool_choice='auto', parallel_tool_calls=not peer, reasoning={'effort': 'medium'},
                   include=['reasoning.encrypted_content'], prompt_cache_key='6f1c', text={'verbosity': 'low'})


def turn_tools(peer):
    """60 KB of instructions and tools, which a client sends with every turn."""
    tools = coding_tools(peer)
    return {'tools': tools, 'instructions': Prose(4)(60000 - len(json.dumps(tools))), 'parallel_tool_calls': not peer}


# Calls: what the upstream is told to make, and what the client has to get.

def made_call(name, arguments, pieces=3):
    return {'name': name, 'arguments': json.dumps(arguments, ensure_ascii=False), 'pieces': pieces}


def plain_call():
    made = made_call('get_weather', {'city': 'Paris'})
    return made, {'type': 'function_call', 'name': 'get_weather', 'arguments': made['arguments']}


def namespaced_call(space='mcp__fs', name='read'):
    made = made_call(f'{space}__{name}', {'path': '/etc/hosts'})
    return made, {'type': 'function_call', 'namespace': space, 'name': name, 'arguments': made['arguments']}


def custom_call(text=PATCH, pieces=3):
    return made_call('apply_patch', {'input': text}, pieces), {'type': 'custom_tool_call', 'name': 'apply_patch', 'input': text}
