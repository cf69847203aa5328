//! The tools of the last requests: clients send the same ones with every turn, and hundreds of
//! clients of one make send the same as well.

use std::{
    collections::VecDeque,
    fmt,
    ops::{Deref, RangeInclusive},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tower_responses_core::{
    ApiError,
    json::{Object, Value},
};

use crate::{
    catalog::{Catalog, Declaration, Place, declares_client_search},
    normalizer::Settings,
};

#[cfg(test)]
mod tests;

/// What was made of the tools of the last requests.
#[derive(Default)]
pub(crate) struct Recent {
    /// The catalogs of lists of tools, the last one first.
    catalogs: Mutex<VecDeque<Arc<Known>>>,
    found: Mutex<FoundLists>,
}

/// A list of tools, whether it declares a search, whether the request had one, and what was made
/// of it.
struct Known {
    text: Bytes,
    searches: bool,
    defers: bool,
    catalog: Catalog,
}

/// How many lists are known, and of which lengths in bytes: a short one is read as fast as it is
/// found, and what is kept has a bound.
const MOST: usize = 8;
const LENGTHS: RangeInclusive<usize> = (4 << 10)..=(256 << 10);

/// Lists of tools that searches have found, the last one first.
#[derive(Default)]
struct FoundLists {
    lists: VecDeque<Arc<Found>>,
    bytes: usize,
}

/// A list of tools with its declarations.
pub(crate) struct Found {
    text: Bytes,
    declarations: Vec<Declaration>,
}

impl Deref for Found {
    type Target = [Declaration];

    fn deref(&self) -> &[Declaration] {
        &self.declarations
    }
}

/// Which lengths in bytes a list has that is kept, and how many bytes all of them take.
const FOUND_LENGTHS: RangeInclusive<usize> = 256..=(32 << 10);
const ALL_FOUND: usize = 1 << 20;

impl Found {
    /// The bytes it takes, with what was read from it.
    fn size(&self) -> usize {
        2 * self.text.len() + (4 << 10)
    }
}

/// The `tools` of a request.
pub(crate) struct Tools {
    value: Value,
    /// Whether the value shares nothing with the request.
    is_detached: bool,
}

impl Tools {
    /// For longer than the request lives.
    pub(crate) fn detached(self) -> Value {
        if self.is_detached { self.value } else { self.value.detached() }
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent")
    }
}

impl Recent {
    /// The `tools` of the request, and the catalog of what stands there.
    pub(crate) fn catalog(
        &self,
        settings: &Arc<Settings>,
        body: &mut Object,
    ) -> Result<(Option<Tools>, Catalog), ApiError> {
        let Some(value) = body.get("tools").cloned() else {
            return Ok((None, read(settings, &[], declares_search_in_input(body), true)?));
        };
        let text = value.text();
        let is_kept = LENGTHS.contains(&text.len());
        if is_kept
            && let Some(known) = self.find(&text)
            && known.defers == (known.searches || declares_search_in_input(body))
        {
            let value = Value::from_text(known.text.clone());
            return Ok((Some(Tools { value, is_detached: true }), known.catalog.clone()));
        }
        let value = if is_kept { value.detached() } else { value };
        let list = Declaration::list(&value);
        let searches = declares_client_search(&list);
        let defers = searches || declares_search_in_input(body);
        // A client that sends an empty list wants an answer in words.
        let catalog = read(settings, &list, defers, !(value.is_array() && list.is_empty()))?;
        if is_kept {
            self.keep(Known { text: value.text(), searches, defers, catalog: catalog.clone() });
        }
        Ok((Some(Tools { value, is_detached: is_kept }), catalog))
    }

    fn find(&self, text: &Bytes) -> Option<Arc<Known>> {
        let mut all = self.catalogs.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|known| known.text == text)?;
        let known = all.remove(at)?;
        all.push_front(known.clone());
        Some(known)
    }

    /// What stands in the `tools` of an item that tells what a search has found.
    pub(crate) fn found(&self, item: &Value) -> Arc<Found> {
        let tools = item.member("tools").unwrap_or_else(Value::null);
        let text = tools.text();
        if !FOUND_LENGTHS.contains(&text.len()) {
            return Arc::new(Found { declarations: Declaration::list(&tools), text });
        }
        if let Some(found) = self.found.lock().unwrap_or_else(PoisonError::into_inner).find(&text) {
            return found;
        }
        let tools = tools.detached();
        let found = Arc::new(Found { declarations: Declaration::list_to_keep(&tools), text: tools.text() });
        self.found.lock().unwrap_or_else(PoisonError::into_inner).keep(found.clone());
        found
    }

    fn keep(&self, known: Known) {
        let mut all = self.catalogs.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_front(Arc::new(known));
        all.truncate(MOST);
    }
}

impl FoundLists {
    fn find(&mut self, text: &Bytes) -> Option<Arc<Found>> {
        let at = self.lists.iter().position(|found| found.text == text)?;
        let found = self.lists.remove(at)?;
        self.lists.push_front(found.clone());
        Some(found)
    }

    fn keep(&mut self, found: Arc<Found>) {
        self.bytes += found.size();
        self.lists.push_front(found);
        while self.bytes > ALL_FOUND
            && let Some(oldest) = self.lists.pop_back()
        {
            self.bytes -= oldest.size();
        }
    }
}

fn read(settings: &Arc<Settings>, tools: &[Declaration], defers: bool, offers: bool) -> Result<Catalog, ApiError> {
    let mut catalog = Catalog::new(settings.clone(), defers, offers);
    catalog.read(tools, Place::Tools)?;
    Ok(catalog)
}

/// Whether an item of the input brings a search that the client makes itself.
fn declares_search_in_input(body: &mut Object) -> bool {
    let is_search = |item: &Value| {
        item.member_str("type").as_deref() == Some("additional_tools")
            && declares_client_search(&Declaration::list_in(item))
    };
    body.array_mut("input").is_some_and(|input| input.iter().any(is_search))
}
