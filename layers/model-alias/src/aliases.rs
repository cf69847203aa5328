use std::{borrow::Cow, collections::HashMap, fmt, str::FromStr};

/// Which model is meant by which name.
///
/// A name is exact, or ends with `*` and stands for all names with that beginning. An exact name
/// wins over a beginning, a longer beginning over a shorter one. A target that ends with `*` gets
/// what the `*` of the name stood for.
///
/// ```
/// use tower_responses_model_alias::Aliases;
///
/// let aliases = Aliases::new().with("fast", "qwen3-4b").with("openai/*", "*").with("gpt-*", "qwen3");
/// assert_eq!(aliases.target("fast").as_deref(), Some("qwen3-4b"));
/// assert_eq!(aliases.target("openai/o3").as_deref(), Some("o3"));
/// assert_eq!(aliases.target("gpt-5").as_deref(), Some("qwen3"));
/// assert_eq!(aliases.target("qwen3"), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases {
    exact: HashMap<String, String>,
    /// Longest first.
    beginnings: Vec<(String, String)>,
    default: Option<String>,
}

impl Aliases {
    /// No aliases.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an alias; one for the same name is replaced.
    #[must_use]
    pub fn with(mut self, name: &str, target: &str) -> Self {
        let Some(beginning) = name.strip_suffix('*') else {
            self.exact.insert(name.to_owned(), target.to_owned());
            return self;
        };
        self.beginnings.retain(|(other, _)| other != beginning);
        self.beginnings.push((beginning.to_owned(), target.to_owned()));
        self.beginnings.sort_by_key(|(beginning, _)| std::cmp::Reverse(beginning.len()));
        self
    }

    /// The model of requests that name none. It may be an alias itself.
    #[must_use]
    pub fn with_default(mut self, model: &str) -> Self {
        self.default = Some(model.to_owned());
        self
    }

    /// The model of requests that name none.
    pub fn default_model(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// The model that is meant by `name`, or `None` if it is no alias.
    pub fn target<'a>(&'a self, name: &'a str) -> Option<Cow<'a, str>> {
        if let Some(target) = self.exact.get(name) {
            return Some(target.into());
        }
        let fits = |(beginning, target)| Some((name.strip_prefix(beginning)?, target));
        let (rest, target): (&str, &str) =
            self.beginnings.iter().map(|(b, t)| (b.as_str(), t.as_str())).find_map(fits)?;
        match target.strip_suffix('*') {
            Some("") => Some(rest.into()),
            Some(target) => Some(format!("{target}{rest}").into()),
            None => Some(target.into()),
        }
    }

    /// Exact names with their targets, in the order of the names.
    pub fn names(&self) -> Vec<(&str, &str)> {
        let mut names: Vec<_> = self.exact.iter().map(|(name, target)| (name.as_str(), target.as_str())).collect();
        names.sort_unstable();
        names
    }

    /// Whether nothing would ever be changed.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.beginnings.is_empty() && self.default.is_none()
    }

    /// Adds an alias written as `NAME=TARGET`.
    ///
    /// # Errors
    /// Where one of the two is missing.
    pub fn parse_into(self, text: &str) -> Result<Self, AliasError> {
        match text.split_once('=') {
            Some((name, target)) if !name.is_empty() && !target.is_empty() => Ok(self.with(name, target)),
            _ => Err(AliasError(text.to_owned())),
        }
    }
}

/// `NAME=TARGET`, several with commas between.
impl FromStr for Aliases {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, AliasError> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).try_fold(Self::new(), Self::parse_into)
    }
}

/// Text that is not `NAME=TARGET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasError(String);

impl fmt::Display for AliasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no alias: it has to be NAME=TARGET", self.0)
    }
}

impl std::error::Error for AliasError {}
