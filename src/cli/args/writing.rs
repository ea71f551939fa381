//! Which verbs may write. Invariant: a verb that is not named here as writing changes nothing that is remembered.

use super::{TrashVerb, Verb};

impl Verb {
    /// True for a verb that may change what is remembered.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self {
            Self::Apply(args) => !args.dry_run,
            Self::Controller(args) => args.verb.is_none(),
            Self::Trash(args) => matches!(args.verb, TrashVerb::Empty { .. }),
            Self::Start(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Hold(_)
            | Self::Release(_)
            | Self::Rm(_)
            | Self::Restore(_)
            | Self::Trust(_) => true,
            Self::Validate(_)
            | Self::Diff(_)
            | Self::Get(_)
            | Self::Describe(_)
            | Self::Events(_)
            | Self::Wait(_)
            | Self::Attach(_)
            | Self::Schema(_)
            | Self::Version
            | Self::Completion(_)
            | Self::Launch(_) => false,
        }
    }
}
