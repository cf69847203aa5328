//! A request never takes more memory than a small multiple of its bytes, whatever its lists hold. A
//! process of its own, so that nothing else is measured.

mod lists;
mod measure;

use lists::PLACES;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// About the bytes of a request with the shortest elements, and of one with others.
const LONG: usize = 1 << 20;
const SHORT: usize = 64 << 10;

#[test]
fn no_list_takes_more_than_a_multiple_of_its_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // What is allocated once.
    measure::peak(&runtime, br#"{"input":"hi"}"#);
    let mut costly = Vec::new();
    for place in PLACES {
        for (number, element) in place.elements.iter().enumerate() {
            let request = place.filled(std::iter::repeat(*element), if number == 0 { LONG } else { SHORT });
            let peak = measure::peak(&runtime, request.as_bytes());
            let times = peak / request.len();
            println!("{times:>4} bytes a byte: {} of {element}", place.name);
            if peak > measure::most(request.len()) {
                costly.push((times, place.name, element));
            }
        }
    }
    costly.sort_unstable_by(|a, b| b.cmp(a));
    assert!(costly.is_empty(), "more than {} bytes a byte:\n{costly:#?}", measure::PER_BYTE);
}
