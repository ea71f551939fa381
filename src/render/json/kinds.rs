//! The words that stand for reasons and notes on the wire. Invariant: a word, once here, keeps its meaning.

use crate::plan::{Conflict, HoldReason, Note, StepReason};
use crate::record::WishKind;

/// Why a step is done.
pub fn step_reason(reason: &StepReason) -> &'static str {
    match reason {
        StepReason::New => "new",
        StepReason::Gone => "gone",
        StepReason::Crashed { .. } => "crashed",
        StepReason::Ended => "ended",
        StepReason::Changed => "changed",
        StepReason::Wanted => "wanted",
        StepReason::Asked => "asked",
        StepReason::StoppedInFile => "stopped-in-file",
        StepReason::LeftFile(_) => "left-file",
        StepReason::LetGo => "let-go",
        StepReason::NothingLeft => "nothing-left",
        StepReason::Moved { .. } => "moved",
        StepReason::EndSeen => "end-seen",
        StepReason::Merged(_) => "merged",
        StepReason::Expired => "expired",
    }
}

/// Why a step is not done.
pub fn hold_reason(reason: &HoldReason) -> &'static str {
    match reason {
        HoldReason::Busy => "busy",
        HoldReason::Attached => "attached",
        HoldReason::Manual => "manual",
        HoldReason::Queued { .. } => "queued",
        HoldReason::Dependency { .. } => "dependency",
        HoldReason::Backoff { .. } => "backoff",
        HoldReason::Starting { .. } => "starting",
        HoldReason::Finished { .. } => "finished",
        HoldReason::Wish { kind: WishKind::Stop, .. } => "stopped-by-human",
        HoldReason::Wish { kind: WishKind::Hold, .. } => "held-by-human",
        HoldReason::Wish { kind: WishKind::Restored, .. } => "restored",
        HoldReason::AtRisk(_) => "at-risk",
        HoldReason::Protected { .. } => "protected",
        HoldReason::Mass { .. } => "mass-guard",
        HoldReason::Prune { .. } => "prune",
        HoldReason::Conflict(Conflict::Session { .. }) => "conflict-session",
        HoldReason::Conflict(Conflict::Path { .. }) => "conflict-path",
        HoldReason::Conflict(Conflict::Branch { .. }) => "conflict-branch",
        HoldReason::Lost { .. } => "worktree-lost",
        HoldReason::Doubled => "doubled",
        HoldReason::Orphaned => "orphaned",
        HoldReason::Strayed { .. } => "worktree-moved",
        HoldReason::Frozen { .. } => "include-invalid",
        HoldReason::YourPanes(_) => "your-panes",
        HoldReason::ConversationLost { .. } => "conversation-lost",
        HoldReason::After(_) => "after",
        HoldReason::Unseen(_) => "unseen",
        HoldReason::NoBase { .. } => "no-base",
        HoldReason::NoPort { .. } => "no-port",
        HoldReason::Inside => "inside",
        HoldReason::Elsewhere { .. } => "other-branch",
        HoldReason::Failed { .. } => "failed",
    }
}

/// A fact beside a verdict.
pub fn note(note: &Note) -> &'static str {
    match note {
        Note::OnBranch(_) => "on-branch",
        Note::Detached(_) => "detached",
        Note::Renamed(_) => "renamed",
        Note::OnHold { .. } => "on-hold",
        Note::CrashedTimes(_) => "crashed-times",
        Note::NotReady(_) => "not-ready",
        Note::MergeUnseen(_) => "merge-unseen",
        Note::AtNextStart => "at-next-start",
        Note::Ports(_) => "ports",
        Note::PortOutside { .. } => "port-outside",
        Note::PortTaken { .. } => "port-taken",
    }
}
