//! Where a tool stands in a request.

/// Where a list of tools stands in the request.
#[derive(Clone, Copy)]
pub(crate) enum Place<'p> {
    /// The member `tools`.
    Tools,
    /// The item of `input` at this index, of type `additional_tools`.
    Item(usize),
    /// What a search has found, at this index of `input`.
    Found(usize),
    /// The element at this index of a list.
    At(&'p Place<'p>, usize),
}

impl Place<'_> {
    pub(super) fn is_found(&self) -> bool {
        match self {
            Self::Found(_) => true,
            Self::At(list, _) => list.is_found(),
            Self::Tools | Self::Item(_) => false,
        }
    }

    /// The path of what stands there.
    pub(super) fn param(&self) -> String {
        match self {
            Self::Tools => "tools".to_owned(),
            Self::Item(item) | Self::Found(item) => format!("input[{item}].tools"),
            Self::At(Place::At(_, _), index) => format!("{}.tools[{index}]", self.list().param()),
            Self::At(list, index) => format!("{}[{index}]", list.param()),
        }
    }

    fn list(&self) -> &Place<'_> {
        match self {
            Self::At(list, _) => list,
            other => other,
        }
    }
}
