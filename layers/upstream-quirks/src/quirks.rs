use std::time::Duration;

use http::request::Parts;
use tower_responses_core::{
    ApiError,
    json::Object,
    read_bool,
    rewrite::{RewriteRequest, is_create},
};

use crate::{Answer, Fix, Fixes, Profile, early::WantsStream, fix::Tally, request, shape::Echo};

/// What is put right between a client and one upstream.
#[derive(Debug, Clone)]
pub struct Quirks {
    pub(crate) profile: Profile,
    pub(crate) fixes: Fixes,
    pub(crate) heartbeat: Duration,
    pub(crate) linger: Duration,
    pub(crate) gateway_key: bool,
}

impl Quirks {
    /// The fixes of `profile`, a heartbeat after 15 seconds, 20 milliseconds for the upstream to
    /// end its body, and no key of our own.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            fixes: profile.fixes(),
            heartbeat: Duration::from_secs(15),
            linger: Duration::from_millis(20),
            gateway_key: false,
        }
    }
}

impl RewriteRequest for Quirks {
    type Response = Answer;

    fn applies(&self, head: &Parts) -> bool {
        !self.fixes.is_empty() && is_create(&head.method, head.uri.path())
    }

    fn rewrite(&self, head: &mut Parts, body: &mut Object) -> Result<Option<Answer>, ApiError> {
        let mut tally = Tally::new(self.fixes);
        request::correct(body, &mut tally);
        if read_bool(body, "stream")? == Some(true) {
            let early = (tally.on(Fix::EarlyStream) && !self.heartbeat.is_zero()).then_some(self.heartbeat);
            let json = tally.on(Fix::JsonForStream);
            if early.is_some() || json {
                head.extensions.insert(WantsStream { open_after: early, json, quirks: self.clone() });
            }
        }
        Ok(Some(Answer::new(self, tally, Echo::of_request(body))))
    }
}
