//! Runs every case with its fix on and with it off.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tower_responses_upstream_quirks::{Fix, Profile, UpstreamQuirksLayer};

use crate::{
    cases, requests,
    rig::{Reply, Seen, exchange, upstream},
    truth,
};

/// Which requests the upstream answers otherwise, and with which fixture.
type Refusal = (fn(&Value) -> bool, &'static str);

/// A fixture, the fix it needs, and what the client sees with it.
pub(crate) struct Case {
    pub(crate) fix: Fix,
    pub(crate) fixture: &'static str,
    pub(crate) profile: Profile,
    pub(crate) request: Value,
    pub(crate) pause: Option<(&'static str, u64)>,
    pub(crate) configure: fn(UpstreamQuirksLayer) -> UpstreamQuirksLayer,
    pub(crate) refuses: Option<Refusal>,
    pub(crate) check: fn(&Seen),
}

impl Case {
    pub(crate) fn new(fix: Fix, fixture: &'static str, check: fn(&Seen)) -> Self {
        Self {
            fix,
            fixture,
            profile: Profile::Vllm,
            request: json!({"model": "m", "input": "hi", "stream": true}),
            pause: None,
            configure: |layer| layer,
            refuses: None,
            check,
        }
    }

    pub(crate) fn request(mut self, request: Value) -> Self {
        self.request = request;
        self
    }

    pub(crate) fn generic(mut self) -> Self {
        self.profile = Profile::Generic;
        self
    }

    pub(crate) fn configure(mut self, configure: fn(UpstreamQuirksLayer) -> UpstreamQuirksLayer) -> Self {
        self.configure = configure;
        self
    }

    pub(crate) fn pause(mut self, before: &'static str, milliseconds: u64) -> Self {
        self.pause = Some((before, milliseconds));
        self
    }

    pub(crate) fn refuses(mut self, flaw: fn(&Value) -> bool, with: &'static str) -> Self {
        self.refuses = Some((flaw, with));
        self
    }

    async fn run(&self, on: bool) -> Seen {
        let layer = (self.configure)(UpstreamQuirksLayer::new(self.profile));
        let layer = if on { layer.with(self.fix) } else { layer.without(self.fix) };
        let (fixture, refuses, pause) = (self.fixture, self.refuses, self.pause);
        let address = upstream(Arc::new(move |request| {
            let mut reply = match refuses {
                Some((flaw, other)) if flaw(request) => Reply::fixture(other),
                _ => Reply::fixture(fixture),
            };
            reply.pause = pause.map(|(text, milliseconds)| (text, Duration::from_millis(milliseconds)));
            reply
        }))
        .await;
        exchange(&layer, address, &self.request).await
    }

    fn explain(&self, seen: &Seen) -> String {
        format!(
            "{} with {}\n--- upstream\n{}\n--- client: {} {:?}, {:?}\n{}\n---",
            self.fix,
            self.fixture,
            String::from_utf8_lossy(&Reply::fixture(self.fixture).raw),
            seen.status,
            seen.headers,
            seen.end,
            seen.text
        )
    }

    async fn prove(&self) -> Result<(), String> {
        let seen = self.run(true).await;
        let with = catch_unwind(AssertUnwindSafe(|| {
            truth::check(&seen);
            (self.check)(&seen);
        }));
        if let Err(panic) = with {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            return Err(format!("wrong with the fix: {}\n{}", message.unwrap_or_default(), self.explain(&seen)));
        }
        let seen = self.run(false).await;
        match catch_unwind(AssertUnwindSafe(|| (self.check)(&seen))) {
            Ok(()) => Err(format!("right without the fix\n{}", self.explain(&seen))),
            Err(_) => Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_needs_its_fix() {
    let cases: Vec<_> = cases::all().into_iter().chain(requests::all()).collect();
    std::panic::set_hook(Box::new(|_| {}));
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(case.prove().await.err());
    }
    let _ = std::panic::take_hook();
    for fix in Fix::ALL {
        if !cases.iter().any(|case| case.fix == *fix) {
            wrong.push(format!("{fix} has no case"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

/// What is right stays as it is, byte for byte.
#[tokio::test]
async fn what_is_right_is_not_touched() {
    for fixture in ["good-text", "good-call"] {
        for profile in [Profile::Vllm, Profile::Generic, Profile::None] {
            let address = upstream(Arc::new(move |_| Reply::fixture(fixture))).await;
            let seen = exchange(&UpstreamQuirksLayer::new(profile), address, &json!({"stream": true})).await;
            let raw = String::from_utf8(Reply::fixture(fixture).raw).unwrap();
            assert_eq!(seen.text, raw.split_once("\r\n\r\n").unwrap().1, "{fixture} {profile}");
            truth::check(&seen);
        }
    }
}

/// The text of an error is kept, but not without end, and not cut in the middle of a character.
#[tokio::test]
async fn the_text_of_an_error_is_bounded() {
    let page = format!("<h1>€{}</h1>", "€".repeat(20_000));
    let raw = format!("HTTP/1.1 503 Service Unavailable\r\ncontent-length: {}\r\n\r\n{page}", page.len());
    let reply = Reply { raw: raw.into_bytes(), pause: None };
    let address = upstream(Arc::new(move |_| reply.clone())).await;
    let seen = exchange(&UpstreamQuirksLayer::new(Profile::Vllm), address, &json!({"stream": true})).await;
    truth::check(&seen);
    let message = seen.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(seen.status, 503);
    assert!((4_000..=4_096).contains(&message.len()), "{} bytes", message.len());
    assert!(page.starts_with(&message));
}

/// A fix is counted once for each request that needed it, and not for one that did not.
#[tokio::test]
async fn fixes_are_counted() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    for fixture in ["numbers-minus-one", "numbers-minus-one", "good-text"] {
        let address = upstream(Arc::new(move |_| Reply::fixture(fixture))).await;
        exchange(&UpstreamQuirksLayer::new(Profile::Vllm), address, &json!({"stream": true})).await;
    }
    let counted: Vec<_> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
            (key.key().name().to_owned(), labels.concat(), value)
        })
        .collect();
    let expected =
        ("tower_responses_quirk_fixed_total".to_owned(), "sequence_numbers".to_owned(), DebugValue::Counter(2));
    assert_eq!(counted, [expected]);
}
