"""Reads answers with OpenAI's own SDK, strictly: sdk.py BASE_URL FIXTURE=END ...

An END of "completed" has to give a final response through the stream helper; of a number, the
exception with that status.
"""
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="k", max_retries=0, _strict_response_validation=True)


def events(model):
    return list(client.responses.create(model=model, input="hi", stream=True))


def helper(model):
    with client.responses.stream(model=model, input="hi") as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


for argument in sys.argv[2:]:
    model, end = argument.split("=")
    try:
        if end.isdigit():
            try:
                events(model)
                raise AssertionError("no exception")
            except openai.APIStatusError as error:
                assert error.status_code == int(end), error.status_code
                assert error.code is None or isinstance(error.code, str), error.code
                continue
        last = events(model)[-1]
        assert last.type == f"response.{end}", last.type
        assert last.response.status == end, last.response.status
        if end == "completed":
            ids = [[item.id for item in output] for output in (helper(model).output, last.response.output)]
            assert ids[0] == ids[1], ids
    except BaseException:
        print("with", argument, file=sys.stderr)
        raise
print(len(sys.argv) - 2, "answers read")
