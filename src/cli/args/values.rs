//! The forms of what is typed after verbs and flags. Invariant: a value that parsed is well-formed.

use crate::name::{Name, NameError, Run, Uid};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A session: `api`, or `shop/api` with its fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The fleet, if it was named.
    pub fleet: Option<Name>,
    /// The session.
    pub name: Name,
}

/// A session in the trash: `api`, or `api@UID` when it is not the newest of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restorable {
    /// The session.
    pub target: Target,
    /// Which incarnation.
    pub uid: Option<Uid>,
}

/// A label to select by: `team=red`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The key.
    pub key: String,
    /// The value that it must have.
    pub value: String,
}

/// A period of time: `90s`, `10m`, `2h`, `14d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

/// Why a text is not of the form that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not a uid.
    #[error("{0} is not a uid (`fleetctl trash list` shows them)")]
    Uid(String),
    /// Not `key=value`.
    #[error("a selector has the form key=value")]
    Label,
    /// Not a duration.
    #[error("a duration is a number and a unit: 90s, 10m, 2h, 14d")]
    Period,
}

impl FromStr for Target {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (fleet, name) = match text.split_once('/') {
            Some((fleet, name)) => (Some(fleet.parse()?), name),
            None => (None, text),
        };
        Ok(Self { fleet, name: name.parse()? })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fleet) = &self.fleet {
            write!(f, "{fleet}/")?;
        }
        write!(f, "{}", self.name)
    }
}

impl FromStr for Restorable {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (target, uid) = match text.split_once('@') {
            Some((target, uid)) => {
                (target, Some(uid.parse().map_err(|_| ValueError::Uid(uid.to_owned()))?))
            }
            None => (text, None),
        };
        Ok(Self { target: target.parse()?, uid })
    }
}

impl FromStr for Label {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err(ValueError::Label),
        }
    }
}

impl FromStr for Period {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let unit = text.chars().last().ok_or(ValueError::Period)?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(ValueError::Period),
        };
        let number = &text[..text.len() - 1];
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ValueError::Period);
        }
        let number: u64 = number.parse().map_err(|_| ValueError::Period)?;
        let period = number.checked_mul(seconds).filter(|seconds| *seconds <= 100 * 31_536_000);
        Ok(Self(Duration::from_secs(period.ok_or(ValueError::Period)?)))
    }
}

/// A run's number.
pub fn run(text: &str) -> Result<Run, std::num::ParseIntError> {
    text.parse().map(Run)
}
