use tower_responses_core::json::{Edit, Object, Value};

use crate::fix::{Fix, Tally};

/// Joins the system and developer messages that open the input with `instructions`, and lets
/// later ones stand as the user's: where they stand matters, and a template that knows one
/// leading system message takes no other.
pub(super) fn fold(request: &mut Object, tally: &mut Tally) {
    let Some(items) = request.get("input").filter(|input| input.is_array()).and_then(Value::elements) else { return };
    let leading = items.iter().map_while(system_text).collect::<Vec<_>>();
    let instructions = request.get_str("instructions").map(|text| text.into_owned());
    let texts: Vec<_> = instructions.into_iter().chain(leading.iter().cloned()).collect();
    if !leading.is_empty() {
        tally.count(Fix::FoldInstructions);
        request.set("instructions", texts.join("\n\n").as_str());
    }
    let Some(input) = request.array_mut("input").filter(|_| items.iter().any(is_system)) else { return };
    let mut at = 0;
    input.map(|item| {
        at += 1;
        if at <= leading.len() {
            return Edit::remove();
        }
        if is_system(item)
            && let Some(item) = item.as_object_mut()
        {
            tally.count(Fix::FoldInstructions);
            item.set("role", "user");
        }
        Edit::Keep
    });
}

fn is_system(item: &Value) -> bool {
    matches!(item.member_str("role").as_deref(), Some("system" | "developer"))
        && matches!(item.member_str("type").as_deref(), None | Some("message"))
}

/// The text of a system message, if it is nothing but text.
fn system_text(item: &Value) -> Option<String> {
    if !is_system(item) {
        return None;
    }
    let content = item.member("content")?;
    if let Some(text) = content.as_str() {
        return Some(text.into_owned());
    }
    let parts = content.elements()?;
    let texts = parts.iter().map(|part| part.member_str("text").map(|text| text.into_owned()));
    Some(texts.collect::<Option<Vec<_>>>()?.join("\n"))
}
