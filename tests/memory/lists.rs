//! Requests that consist of one long list, in every place where lists are opened.

/// What stands before and after the elements of a list.
#[allow(dead_code, reason = "not everybody who fills lists names them")]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    head: &'static str,
    tail: &'static str,
    /// Elements of an array, or members of an object.
    pub(crate) elements: &'static [&'static str],
}

/// What a list can be filled with. What is shorter than what is kept of it costs the most. A `@` is
/// another number in each element.
pub(crate) const ELEMENTS: &[&str] = &[
    "0",
    "{}",
    "[]",
    r#""""#,
    "null",
    "[0]",
    r#"{"":0}"#,
    r#"{"name":"a"}"#,
    r#"{"type":"a"}"#,
    r#"{"type":"function"}"#,
    r#"{"type":"namespace","name":"a","tools":[0,0,0,0]}"#,
    r#"{"type":"item_reference","id":"a"}"#,
    r#"{"type":"input_text","text":""}"#,
    r#"{"type":"function_call","call_id":"a","name":"a"}"#,
    r#"{"type":"function_call_output","call_id":"a","output":[0,0,0,0]}"#,
    r#"{"type":"tool_search_output","call_id":"a","tools":[0,0,0,0]}"#,
    r#"{"type":"additional_tools","tools":[0,0,0,0]}"#,
    r#"{"role":"assistant","content":[]}"#,
    r#"{"type":"function","name":"@"}"#,
    r#"{"type":"custom","name":"@"}"#,
    r#"{"type":"namespace","name":"@","description":"a"}"#,
    r#"{"type":"namespace","name":"@","tools":[{"type":"function","name":"a"}]}"#,
    r#"{"type":"@"}"#,
];

/// Items that become something else.
const ITEMS: &[&str] = &[
    r#"{"type":"function_call","name":"@"}"#,
    r#"{"type":"function_call","name":"a","namespace":"@"}"#,
    r#"{"type":"function_call_output","output":0}"#,
    r#"{"type":"custom_tool_call","name":"@"}"#,
    r#"{"type":"custom_tool_call","name":"a"}"#,
    r#"{"type":"custom_tool_call_output"}"#,
    r#"{"type":"tool_search_call","call_id":""}"#,
    r#"{"type":"tool_search_output","call_id":""}"#,
    r#"{"type":"reasoning"}"#,
    r#"{"type":"reasoning","encrypted_content":"a","summary":[0]}"#,
    r#"{"type":"agent_message"}"#,
    r#"{"type":"agent_message","content":[0,0,0,0]}"#,
    r#"{"type":"compaction","summary":" "}"#,
    r#"{"type":"program"}"#,
    r#"{"type":"program","a":[0]}"#,
    r#"{"role":"assistant","content":[{"text":""},{"text":""}]}"#,
    r#"{"a":1,"a":2}"#,
    r#"{"\u0061":1}"#,
];

/// Names that nobody knows, that are known, and that come twice.
const MEMBERS: &[&str] = &[r#""":0"#, r#""a":{}"#, r#""type":"a""#, r#""tools":[]"#, r#""\u0061":0"#];

const fn list(name: &'static str, head: &'static str, tail: &'static str) -> Place {
    Place { name, head, tail, elements: ELEMENTS }
}

const fn object(name: &'static str, head: &'static str, tail: &'static str) -> Place {
    Place { name, head, tail, elements: MEMBERS }
}

pub(crate) const PLACES: &[Place] = &[
    list("tools", r#"{"input":"","tools":["#, "]}"),
    list("input", r#"{"input":["#, "]}"),
    Place { name: "items", head: r#"{"input":["#, tail: "]}", elements: ITEMS },
    list("include", r#"{"input":"","include":["#, "]}"),
    list("tools of a namespace", r#"{"input":"","tools":[{"type":"namespace","name":"n","tools":["#, "]}]}"),
    list(
        "allowed tools",
        r#"{"input":"","tools":[{"type":"custom","name":"f"}],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":["#,
        "]}}",
    ),
    list("tools that were found", r#"{"input":[{"type":"tool_search_output","call_id":"c","tools":["#, "]}]}"),
    list("additional tools", r#"{"input":[{"type":"additional_tools","role":"developer","tools":["#, "]}]}"),
    list("output of a function", r#"{"input":[{"type":"function_call_output","call_id":"c","output":["#, "]}]}"),
    list("output of a custom tool", r#"{"input":[{"type":"custom_tool_call_output","call_id":"c","output":["#, "]}]}"),
    list("message of the user", r#"{"input":[{"type":"message","role":"user","content":["#, "]}]}"),
    list("message of the assistant", r#"{"input":[{"type":"message","role":"assistant","content":["#, "]}]}"),
    list("message of an agent", r#"{"input":[{"type":"agent_message","content":["#, "]}]}"),
    list("reasoning", r#"{"input":[{"type":"reasoning","encrypted_content":"","content":["#, "]}]}"),
    list("summary of reasoning", r#"{"input":[{"type":"reasoning","encrypted_content":"","summary":["#, "]}]}"),
    list("compaction", r#"{"input":[{"type":"compaction","summary":["#, "]}]}"),
    list("hosted call", r#"{"input":[{"type":"web_search_call","action":["#, "]}]}"),
    list("unknown item", r#"{"input":[{"type":"unknown","content":["#, "]}]}"),
    list(
        "schema",
        r#"{"input":"","tools":[{"type":"function","name":"f","parameters":{"encrypted":true,"anyOf":["#,
        "]}}]}",
    ),
    list("metadata", r#"{"input":"","metadata":{"a":["#, "]}}"),
    object("members of the request", r#"{"input":"","#, "}"),
    object("members of a tool", r#"{"input":"","tools":[{"#, "}]}"),
    object("members of an item", r#"{"input":[{"#, "}]}"),
    object("members of a hosted call", r#"{"input":[{"type":"web_search_call","#, "}]}"),
    object("members of a choice", r#"{"input":"","tools":[],"tool_choice":{"#, "}}"),
    object(
        "members of a schema",
        r#"{"input":"","tools":[{"type":"function","name":"f","parameters":{"encrypted":true,"properties":{"#,
        "}}}]}",
    ),
];

impl Place {
    /// A request of at most so many bytes whose list has these elements, again and again.
    pub(crate) fn filled<'e>(&self, elements: impl Iterator<Item = &'e str>, bytes: usize) -> String {
        let mut request = String::with_capacity(bytes);
        request.push_str(self.head);
        let mut separator = "";
        for (number, element) in elements.enumerate() {
            let element = element.replace('@', &format!("{number:x}"));
            if request.len() + separator.len() + element.len() + self.tail.len() > bytes {
                break;
            }
            request.push_str(separator);
            request.push_str(&element);
            separator = ",";
        }
        request.push_str(self.tail);
        request
    }
}
