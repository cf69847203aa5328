//! The tools of the last requests: clients send the same ones with every turn, and hundreds of
//! clients of one make send the same as well.

use std::{
    collections::VecDeque,
    fmt,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tower_responses_core::{
    ApiError,
    json::{Object, Value},
};

use crate::{
    catalog::{Catalog, Declaration, Place, ToolList},
    normalizer::Settings,
};

#[cfg(test)]
mod tests;

/// What was made of the tools of the last requests.
#[derive(Default)]
pub(crate) struct Recent {
    catalogs: Mutex<Lists<Known>>,
    found: Mutex<Lists<Found>>,
}

/// Lists of tools with what was made of them, the last one first.
struct Lists<T> {
    lists: VecDeque<Arc<T>>,
    bytes: usize,
}

/// How many bytes lists of one kind take.
const MOST: usize = 2 << 20;

trait List {
    fn text(&self) -> &Bytes;

    /// How many tools there are.
    fn tools(&self) -> usize;

    /// About the bytes it takes, with what was made of it.
    fn size(&self) -> usize {
        3 * self.text().len() + (1 << 10) * (1 + self.tools())
    }
}

/// A list of tools, whether it declares a search, whether the request had one, and what was made
/// of it.
struct Known {
    text: Bytes,
    searches: bool,
    defers: bool,
    catalog: Catalog,
}

/// What a search has found.
pub(crate) enum FoundTools {
    /// Walked through where it stands.
    Text(Value),
    Kept(Arc<Found>),
}

impl FoundTools {
    pub(crate) fn list(&self) -> ToolList<'_> {
        match self {
            Self::Text(tools) => ToolList::Text(tools.clone()),
            Self::Kept(found) => ToolList::Kept(&found.declarations),
        }
    }
}

/// What a search has found, with its declarations.
pub(crate) struct Found {
    text: Bytes,
    declarations: Vec<Declaration>,
}

/// Which lengths in bytes a list has that is kept: a shorter one is read as fast as it is found.
const LENGTHS: RangeInclusive<usize> = 64..=(256 << 10);

impl List for Known {
    fn text(&self) -> &Bytes {
        &self.text
    }

    fn tools(&self) -> usize {
        self.catalog.len()
    }
}

impl List for Found {
    fn text(&self) -> &Bytes {
        &self.text
    }

    fn tools(&self) -> usize {
        self.declarations.iter().map(Declaration::len).sum()
    }
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { lists: VecDeque::new(), bytes: 0 }
    }
}

impl<T: List> Lists<T> {
    fn find(&mut self, text: &Bytes) -> Option<Arc<T>> {
        // A conversation asks for its lists in the order in which it did the last time, so the one
        // wanted is mostly that which was not asked for the longest.
        let at = self.lists.iter().rposition(|list| list.text() == text)?;
        if at > 0 {
            let list = self.lists.remove(at)?;
            self.lists.push_front(list);
        }
        self.lists.front().cloned()
    }

    fn keep(&mut self, list: Arc<T>) {
        self.bytes += list.size();
        self.lists.push_front(list);
        while self.bytes > MOST
            && let Some(oldest) = self.lists.pop_back()
        {
            self.bytes -= oldest.size();
        }
    }
}

fn lock<T>(lists: &Mutex<Lists<T>>) -> MutexGuard<'_, Lists<T>> {
    lists.lock().unwrap_or_else(PoisonError::into_inner)
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
            return Ok((None, Catalog::new(settings.clone(), declares_search_in_input(body), true)));
        };
        let text = value.text();
        let is_kept = LENGTHS.contains(&text.len());
        let known = if is_kept { lock(&self.catalogs).find(&text) } else { None };
        if let Some(known) = known
            && known.defers == (known.searches || declares_search_in_input(body))
        {
            let value = Value::from_text(known.text.clone());
            return Ok((Some(Tools { value, is_detached: true }), known.catalog.clone()));
        }
        let value = if is_kept { value.detached() } else { value };
        let list = ToolList::Text(value.clone());
        let searches = list.declares_client_search();
        let defers = searches || declares_search_in_input(body);
        // A client that sends an empty list wants an answer in words.
        let is_empty = value.elements().is_some_and(|mut tools| tools.next().is_none());
        let mut catalog = Catalog::new(settings.clone(), defers, !is_empty);
        catalog.read(&list, Place::Tools)?;
        if is_kept {
            let known = Known { text: value.text(), searches, defers, catalog: catalog.clone() };
            lock(&self.catalogs).keep(Arc::new(known));
        }
        Ok((Some(Tools { value, is_detached: is_kept }), catalog))
    }

    /// What stands in the `tools` of an item that tells what a search has found.
    pub(crate) fn found(&self, item: &Value) -> FoundTools {
        let tools = item.member("tools").unwrap_or_else(Value::null);
        let text = tools.text();
        if !LENGTHS.contains(&text.len()) {
            return FoundTools::Text(tools);
        }
        if let Some(found) = lock(&self.found).find(&text) {
            return FoundTools::Kept(found);
        }
        let detached = tools.detached();
        let Some(declarations) = Declaration::list_to_keep(&detached) else { return FoundTools::Text(tools) };
        let found = Arc::new(Found { declarations, text: detached.text() });
        lock(&self.found).keep(found.clone());
        FoundTools::Kept(found)
    }
}

/// Whether an item of the input brings a search that the client makes itself.
fn declares_search_in_input(body: &mut Object) -> bool {
    let is_search = |item: &Value| {
        item.member_is("type", "additional_tools")
            && item.member("tools").is_some_and(|tools| ToolList::Text(tools).declares_client_search())
    };
    body.array_mut("input").is_some_and(|input| input.any(is_search))
}
