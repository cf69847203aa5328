//! Requests of very many items: what is done with them is linear in their number, whatever they
//! are and in whatever order they come, and is done in steps.
#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt};
use tower_responses_core::{
    RequestBody, ResponseBody,
    json::{Object, Value},
};
use tower_responses_response_store::{Calls, MemoryStore, ResponseStore, ResponseStoreLayer};

const MANY: usize = 100_000;

const KINDS: [&str; 7] = [
    "function_call",
    "custom_tool_call",
    "tool_search_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "computer_call",
];

/// Every kind in turn.
fn call(id: usize) -> String {
    format!(r#"{{"type":"{}","call_id":"call_{id:06}","name":"f"}}"#, KINDS[id % KINDS.len()])
}

fn output(id: usize) -> String {
    format!(r#"{{"type":"{}_output","call_id":"call_{id:06}","output":"x"}}"#, KINDS[id % KINDS.len()])
}

fn texts(text: impl Fn(usize) -> String) -> Vec<Bytes> {
    (0..MANY).map(|id| text(id).into()).collect()
}

/// Each once, and neighbours far from each other.
fn scattered(items: &[Bytes]) -> impl Iterator<Item = &Bytes> {
    (0..items.len()).map(|at| &items[at * 7_919 % items.len()])
}

/// How long this thread has worked: what else the machine does does not count.
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// What is quadratic takes minutes.
fn assert_quick<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let before = worked();
    let done = work();
    let took = worked() - before;
    assert!(took < Duration::from_secs(20), "{what}: {took:?}");
    done
}

#[test]
fn calls_are_followed_in_linear_time() {
    let (calls, outputs) = (texts(call), texts(output));
    let all = || calls.iter();
    let one = |items: &Vec<Bytes>| std::iter::repeat_n(items[1].clone(), MANY).collect::<Vec<_>>();
    let (one_call, one_output) = (one(&calls), one(&outputs));
    let orders: Vec<(&str, Vec<&Bytes>, usize)> = vec![
        ("calls, then outputs", all().chain(&outputs).collect(), 0),
        ("calls, then outputs from the last", all().chain(outputs.iter().rev()).collect(), 0),
        ("calls, then outputs anyhow", all().chain(scattered(&outputs)).collect(), 0),
        ("outputs, then calls", outputs.iter().chain(all()).collect(), MANY),
        ("one by one", all().zip(&outputs).flat_map(|(call, output)| [call, output]).collect(), 0),
        ("each call twice, then outputs", all().chain(all()).chain(&outputs).collect(), 0),
        ("calls, then each output twice", all().chain(&outputs).chain(&outputs).collect(), 0),
        ("one call again and again", one_call.iter().collect(), 1),
        ("calls, then one output again and again", all().chain(&one_output).collect(), MANY - 1),
    ];
    for (order, items, pending) in orders {
        let left = assert_quick(order, || {
            let mut calls = Calls::default();
            items.into_iter().for_each(|item| calls.item(&Value::from_text(item.clone())));
            calls.into_pending()
        });
        assert_eq!(left.len(), pending, "{order}");
        assert!(left.is_sorted_by_key(|call| call.call_id.clone()), "{order}: in the order of the calls");
    }
}

/// An upstream that is asked so many times before it answers.
#[derive(Clone, Default)]
struct Upstream {
    output: String,
    streams: bool,
    waits: usize,
    was_asked: Arc<AtomicBool>,
    items: Arc<AtomicUsize>,
}

impl Upstream {
    fn saying(output: &[Bytes]) -> Self {
        Self { output: joined(output), ..Self::default() }
    }

    async fn answer(self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, Infallible> {
        self.was_asked.store(true, Ordering::Relaxed);
        let request = Object::parse(request.into_body().collect().await.unwrap().to_bytes()).unwrap();
        let items = request.get("input").unwrap().elements().map_or(1, Iterator::count);
        self.items.store(items, Ordering::Relaxed);
        for _ in 0..self.waits {
            tokio::task::yield_now().await;
        }
        let response = format!(r#"{{"object":"response","status":"completed","output":[{}]}}"#, self.output);
        let (kind, text) = if self.streams {
            ("text/event-stream", format!("data: {{\"type\":\"response.completed\",\"response\":{response}}}\n\n"))
        } else {
            ("application/json", response)
        };
        let response = Response::builder().header("content-type", kind);
        Ok(response.body(ResponseBody::new(Full::from(text))).unwrap())
    }

    fn ask(
        self,
        layer: &ResponseStoreLayer,
        members: &str,
    ) -> impl Future<Output = Response<ResponseBody>> + Send + use<> {
        let request = Request::post("/v1/responses").body(Full::from(format!("{{{members}}}"))).unwrap();
        let service = layer.layer(tower::service_fn(move |request| self.clone().answer(request)));
        async move { service.oneshot(request).await.unwrap() }
    }
}

fn joined(items: &[Bytes]) -> String {
    items.iter().map(|item| std::str::from_utf8(item).unwrap()).collect::<Vec<_>>().join(",")
}

fn input<'a>(items: impl IntoIterator<Item = &'a Bytes>) -> String {
    format!(r#""input":[{}]"#, joined(&items.into_iter().cloned().collect::<Vec<_>>()))
}

async fn object(response: impl Future<Output = Response<ResponseBody>>) -> Object {
    Object::parse(response.await.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// What there is to wait for here ends in this thread.
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn continuing(response: &Object) -> String {
    let id = response.get("id").unwrap_or_else(|| panic!("{response:?}")).text();
    format!(r#""previous_response_id":{},"#, std::str::from_utf8(&id).unwrap())
}

fn error_of(response: &Object) -> Option<String> {
    response.get("error")?.member_str("message").map(|message| message.into_owned())
}

fn layer() -> (ResponseStoreLayer, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    (ResponseStoreLayer::new(store.clone()), store)
}

#[test]
fn many_items_are_stored_and_continued() {
    let (calls, outputs) = (texts(call), texts(output));
    for (order, items, pending) in [
        ("calls, then outputs", calls.iter().chain(scattered(&outputs)).collect::<Vec<_>>(), None),
        ("outputs, then calls", outputs.iter().chain(&calls).collect(), Some("call_000000")),
    ] {
        assert_quick(order, || {
            let (layer, _) = layer();
            let first = run(object(Upstream::default().ask(&layer, &input(items))));
            assert_eq!(first.get("store").and_then(Value::as_bool), Some(true), "{order}");
            let next = run(object(Upstream::default().ask(&layer, &format!(r#"{}"input":[]"#, continuing(&first)))));
            let error = error_of(&next).unwrap_or_default();
            assert_eq!(error.is_empty(), pending.is_none(), "{order}");
            assert!(error.ends_with(&format!("{}.", pending.unwrap_or_default())) || pending.is_none(), "{error}");
        });
    }
}

#[test]
fn many_calls_of_a_response_are_answered_in_any_order() {
    let (calls, outputs) = (texts(call), texts(output));
    let (layer, _) = layer();
    let first = assert_quick("calls", || run(object(Upstream::saying(&calls).ask(&layer, r#""input":"call""#))));
    for (order, answers, missing) in [
        ("from the last", outputs.iter().rev().collect::<Vec<_>>(), None),
        ("anyhow", scattered(&outputs).collect(), None),
        ("all but one", outputs.iter().take(MANY - 1).collect(), Some("call_099999")),
        ("one again and again", std::iter::repeat_n(&outputs[0], MANY).collect(), Some("call_000001")),
    ] {
        let members = continuing(&first) + &input(answers);
        let next = assert_quick(order, || run(object(Upstream::default().ask(&layer, &members))));
        let error = error_of(&next).unwrap_or_default();
        assert!(missing.map_or(error.is_empty(), |id| error.ends_with(&format!("{id}."))), "{order}: {error}");
    }
}

/// Only what a response says can be referred to from elsewhere in such numbers.
#[test]
fn many_references_are_resolved() {
    let message = |id: usize| format!(r#"{{"id":"msg_{id}","type":"message","role":"assistant","content":"{id}"}}"#);
    let reference = |id: usize| format!(r#"{{"type":"item_reference","id":"msg_{id}"}}"#);
    let (messages, references) = (texts(message), texts(reference));
    let (layer, _) = layer();
    let first = run(object(Upstream::saying(&messages).ask(&layer, r#""input":"say""#)));
    let one = vec![references[7].clone(); MANY];
    for (order, references, previous, before) in [
        ("in order", references.iter().collect::<Vec<_>>(), String::new(), 0),
        ("from the last", references.iter().rev().collect(), continuing(&first), MANY + 1),
        ("one again and again", one.iter().collect(), String::new(), 0),
    ] {
        let upstream = Upstream::default();
        let members = format!(r#"{previous}"store":false,{}"#, input(references));
        let next = assert_quick(order, || run(object(upstream.clone().ask(&layer, &members))));
        assert_eq!(error_of(&next), None, "{order}");
        assert_eq!(upstream.items.load(Ordering::Relaxed), MANY + before, "{order}");
    }
    let unknown = texts(|id| reference(id + MANY));
    let next = assert_quick("unknown", || run(object(Upstream::default().ask(&layer, &input(&unknown)))));
    assert_eq!(error_of(&next).unwrap(), format!("Item with id 'msg_{MANY}' not found."), "the first of them");
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How often others could have gone on before this was ready.
fn steps<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> (usize, T) {
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    for steps in 0.. {
        if let Poll::Ready(done) = poll(&mut Context::from_waker(&waker)) {
            return (steps, done);
        }
        assert!(woken.0.swap(false, Ordering::Relaxed), "nobody would poll it again");
    }
    unreachable!("it is ready some time")
}

/// Far fewer than there are, and far more than without steps.
const SOME_STEPS: usize = 20;

#[test]
fn what_takes_long_is_done_in_steps() {
    let (calls, outputs) = (texts(call), texts(output));
    let (layer, store) = layer();
    let streamed = || Upstream { streams: true, ..Upstream::saying(&calls) };

    // The output of a response is written down.
    let mut asked = pin!(Upstream::saying(&calls).ask(&layer, r#""input":"call""#));
    let (written, response) = steps(|cx| asked.as_mut().poll(cx));
    assert!(written > SOME_STEPS, "{written}");
    let first = run(object(std::future::ready(response)));
    let mut asked = pin!(streamed().ask(&layer, r#""input":"call","stream":true"#));
    let (_, response) = steps(|cx| asked.as_mut().poll(cx));
    let mut body = response.into_body();
    let (written, event) = steps(|cx| Pin::new(&mut body).poll_frame(cx));
    assert!(written > SOME_STEPS && event.is_some(), "{written}");
    assert_eq!(run(store.stats()).unwrap().responses, 2);

    // The calls that are answered are looked for, and then the answers are written down.
    let members = continuing(&first) + &input(outputs.iter().rev());
    // If there is time for that, while the response is on its way.
    for (waits, expected) in [(0, SOME_STEPS..1_000), (10_000, 9_990..10_010)] {
        let upstream = Upstream { waits, ..Upstream::default() };
        let mut asked = pin!(upstream.clone().ask(&layer, &members));
        let (looked, ()) = steps(|cx| match asked.as_mut().poll(cx) {
            Poll::Pending if !upstream.was_asked.load(Ordering::Relaxed) => Poll::Pending,
            _ => Poll::Ready(()),
        });
        assert!(looked > SOME_STEPS, "{looked}");
        let (written, response) = steps(|cx| asked.as_mut().poll(cx));
        assert!(expected.contains(&written), "{written}");
        assert_eq!(error_of(&run(object(std::future::ready(response)))), None);
    }

    // Whoever leaves in between has left nothing behind.
    let before = run(store.stats()).unwrap();
    for polls in [1, SOME_STEPS, 3 * SOME_STEPS] {
        let mut asked = Box::pin(Upstream::default().ask(&layer, &members));
        let mut left = polls;
        steps(|cx| {
            left -= 1;
            if left == 0 || asked.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { Poll::Pending }
        });
        drop(asked);
        assert_eq!(left, 0, "it takes more than {polls} steps");
    }
    assert_eq!(run(store.stats()).unwrap(), before);
}
