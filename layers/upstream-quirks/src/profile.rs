use std::{fmt, str::FromStr};

use crate::{Direction, Fix, Fixes};

/// Which upstream is spoken to, and so which fixes are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// vLLM, measured on 0.32.0: all but [`Fix::FoldInstructions`] and [`Fix::EchoedTools`].
    #[default]
    Vllm,
    /// Any server: all towards the client, and towards the upstream only what takes nothing away.
    Generic,
    /// An upstream that needs nothing, such as OpenAI's own.
    None,
}

impl Profile {
    /// The fixes that are on.
    pub fn fixes(self) -> Fixes {
        Fix::ALL.iter().copied().filter(|fix| self.has(*fix)).collect()
    }

    fn has(self, fix: Fix) -> bool {
        match self {
            Self::None => false,
            Self::Vllm => !matches!(fix, Fix::FoldInstructions | Fix::EchoedTools),
            Self::Generic => {
                fix.direction() == Direction::ToClient || matches!(fix, Fix::NullMembers | Fix::ImageDetail)
            }
        }
    }

    /// What messages of an overflow of the context hold, in lower case.
    pub(crate) fn overflow_messages(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Vllm => {
                &["maximum context length", "exceeds the max_model_len", "longer than the maximum model length"]
            }
            Self::Generic => &[
                "maximum context length",
                "exceeds the max_model_len",
                "longer than the maximum model length",
                "longer than the model's context length",
                "exceeds the available context size",
                "exceeds the context window",
                "exceed context limit",
                "input length exceeds the context length",
                "context_length_exceeded",
            ],
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vllm => "vllm",
            Self::Generic => "generic",
            Self::None => "none",
        })
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        match name {
            "vllm" => Ok(Self::Vllm),
            "generic" => Ok(Self::Generic),
            "none" => Ok(Self::None),
            _ => Err(UnknownProfile(name.to_owned())),
        }
    }
}

/// No profile has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownProfile(String);

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no profile called '{}': vllm, generic, none", self.0)
    }
}

impl std::error::Error for UnknownProfile {}
