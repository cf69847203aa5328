//! No request of 64 KB takes more memory than the stated multiple of its bytes, whatever stands in
//! it.
//!
//! A long request is made of a few bytes: of elements in one of the places where lists are opened,
//! or of any text of which a piece comes again and again. So what costs much is found soon.
#![no_main]

#[path = "../../memory/lists.rs"]
mod lists;
#[path = "../../memory/measure.rs"]
mod measure;

use libfuzzer_sys::fuzz_target;
use lists::PLACES;
use peak_alloc::PeakAlloc;
use tokio::runtime::Runtime;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const BYTES: usize = 64 << 10;

thread_local! {
    static RUNTIME: Runtime = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // What is allocated once.
        measure::peak(&runtime, br#"{"input":"hi"}"#);
        runtime
    };
}

/// The place, then pairs of an element and how often it comes, all of it again until it is long.
fn list(data: &[u8]) -> Option<String> {
    let (place, runs) = data.split_first()?;
    let place = &PLACES[usize::from(*place) % PLACES.len()];
    let runs = runs.chunks_exact(2).flat_map(|run| {
        let element = place.elements[usize::from(run[0]) % place.elements.len()];
        std::iter::repeat_n(element, usize::from(run[1]) + 1)
    });
    runs.clone().next()?;
    Some(place.filled(runs.cycle(), BYTES))
}

/// Where a piece begins and how long it is, then the text that it is of.
fn repeated(data: &[u8]) -> Option<Vec<u8>> {
    let ([begin, length], text) = data.split_first_chunk::<2>()?;
    let (head, rest) = text.split_at_checked(usize::from(*begin))?;
    let (piece, tail) = rest.split_at_checked(usize::from(*length).max(1))?;
    let times = BYTES.saturating_sub(head.len() + tail.len()) / piece.len();
    Some([head, &piece.repeat(times), tail].concat())
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let request = match kind % 3 {
        0 => Some(data.to_vec()),
        1 => list(data).map(String::into_bytes),
        _ => repeated(data),
    };
    let Some(request) = request.filter(|request| request.len() <= BYTES) else { return };
    let peak = RUNTIME.with(|runtime| measure::peak(runtime, &request));
    let most = measure::most(request.len());
    assert!(
        peak <= most,
        "{peak} bytes for {}: {}",
        request.len(),
        String::from_utf8_lossy(&request[..200.min(request.len())])
    );
});
