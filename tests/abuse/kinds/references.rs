//! References to the items of a turn that is large.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::{
    client::{ask, body},
    rig::Target,
    upstream::LARGE,
};

/// Has a large turn stored, then refers to each of its items.
pub(crate) async fn into_one_turn(target: &Target) {
    let request = format!(r#"{{"model":"{LARGE}","input":"hi"}}"#);
    let Ok(answer) = ask(target.gateway, request.as_bytes(), "").await else { return };
    let Ok(response) = serde_json::from_slice::<Json>(body(&answer)) else { return };
    let ids: Vec<_> =
        response["output"].as_array().into_iter().flatten().filter_map(|item| item["id"].as_str()).collect();
    // The last item is what makes it large.
    let Some((_, small)) = ids.split_last() else { return };
    let mut request = r#"{"model":"m","store":false,"input":["#.to_owned();
    for id in small {
        let _ = write!(request, r#"{{"type":"item_reference","id":"{id}"}},"#);
    }
    request.push_str(r#"{"role":"user","content":"hi"}]}"#);
    for _ in 0..10 {
        let _ = ask(target.gateway, request.as_bytes(), "").await;
    }
}
