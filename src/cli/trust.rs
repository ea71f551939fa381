//! `trust`: a human's word for what a commit of a git source runs. Invariant: an agent gives no such word, and what
//! is agreed to is told.

use super::args::Trust;
use super::context::Context;
use super::output;
use super::source::Source;
use crate::error::{Exit, Failure};
use crate::render::compare::runs_text;
use crate::render::words::short;

/// `trust`.
///
/// # Errors
/// Usage: the manifest is no git source, or there is no such commit; refused inside of a session.
pub fn trust(context: &Context, asked: &Trust) -> Result<Exit, Failure> {
    let manifest = context.manifest()?;
    let source = Source::of(context, &manifest).ok_or_else(|| {
        let message = format!("{} is a file: it needs nobody's word", manifest.display());
        Failure::new(Exit::Usage, message).with_help("name a git source: --source URL#REF:FILE")
    })?;
    if let Err(failure) = source.fetch(context) {
        output::warn(&format!("{}; going on with what was there", failure.message));
    }
    let view = context.view(jiff::Timestamp::UNIX_EPOCH);
    let Some(revision) = &asked.revision else {
        let text = match source.untrusted(context)? {
            Some((head, comparison)) => {
                format!("{}agree: {}\n", runs_text(&comparison, &view), source.agree(&head))
            }
            None => "nothing waits for your word\n".to_owned(),
        };
        output::out(&text)?;
        return Ok(Exit::Done);
    };
    if context.inside.is_some() {
        let message = "this runs inside a session, where nobody agrees to what sessions run";
        return Err(Failure::new(Exit::Refused, message)
            .with_help("run it from a terminal outside of the fleet"));
    }
    let (id, comparison) = source.trust(context, revision, asked.always)?;
    let always = if asked.always { ", and whatever comes after it" } else { "" };
    let name = source.identity.display();
    let runs = runs_text(&comparison, &view);
    output::out(&format!("{runs}trusted {} of {name}{always}\n", short(&id)))?;
    Ok(Exit::Done)
}
