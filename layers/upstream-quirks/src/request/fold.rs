use tower_responses_core::json::{Edit, Object, Value};

use crate::fix::{Fix, Tally};

/// Joins the system and developer messages that open the input with `instructions`, and lets
/// later ones stand as the user's: where they stand matters, and a template that knows one
/// leading system message takes no other.
pub(super) fn fold(request: &mut Object, tally: &mut Tally) {
    let mut instructions = request.get_str("instructions").map(|text| text.into_owned());
    let Some(input) = request.array_mut("input") else { return };
    let (mut leading, mut leads) = (0, true);
    input.map(|item| {
        if leads && let Some(text) = system_text(item) {
            leading += 1;
            match &mut instructions {
                Some(instructions) => instructions.extend(["\n\n", &text]),
                None => instructions = Some(text),
            }
            return Edit::remove();
        }
        leads = false;
        if !is_system(item) {
            return Edit::Keep;
        }
        tally.count(Fix::FoldInstructions);
        item.with_members(&[("role", Some(&Value::string("user")))]).map_or(Edit::Keep, Edit::With)
    });
    if leading > 0 {
        tally.count(Fix::FoldInstructions);
        request.set("instructions", instructions.unwrap_or_default().as_str());
    }
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
    let texts = parts.map(|part| part.member_str("text").map(|text| text.into_owned()));
    Some(texts.collect::<Option<Vec<_>>>()?.join("\n"))
}
