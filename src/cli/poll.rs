//! A git source while a controller keeps its fleet: fetched again and again, and said once what keeps its newest commit
//! from being taken. Invariant: one fetch at a time, and none sooner than the interval after the last.

use super::context::Context;
use super::source::{Source, said};
use crate::reconcile::wake::Cause;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// What one look at the source came to.
struct Looked {
    /// The commit in force.
    taken: Option<String>,
    /// What is wrong.
    trouble: Option<String>,
}

/// Fetches for ever; another commit in force is a cause of a pass.
pub async fn poll(
    source: Source,
    context: Context,
    interval: Duration,
    causes: UnboundedSender<Cause>,
) {
    let mut last = look(&source, &context, Source::standing_of).await;
    loop {
        tokio::time::sleep(interval).await;
        let now = look(&source, &context, Source::fetched).await;
        if now.trouble != last.trouble {
            match &now.trouble {
                Some(trouble) => tracing::warn!("the source: {trouble}"),
                None => tracing::info!("the source is as it should be again"),
            }
        }
        if now.taken != last.taken && causes.send(Cause::Manifest).is_err() {
            return;
        }
        last = now;
    }
}

async fn look(source: &Source, context: &Context, how: fn(&Source, &Context) -> Looked) -> Looked {
    let (source, context) = (source.clone(), context.clone());
    let looked = tokio::task::spawn_blocking(move || how(&source, &context)).await;
    looked.unwrap_or_else(|error| Looked { taken: None, trouble: Some(error.to_string()) })
}

impl Source {
    fn fetched(&self, context: &Context) -> Looked {
        let unreached = self.fetch(context).err().map(|failure| failure.message);
        let standing = self.standing_of(context);
        Looked { trouble: unreached.or(standing.trouble), ..standing }
    }

    fn standing_of(&self, context: &Context) -> Looked {
        match self.standing(context) {
            Ok(standing) => Looked {
                trouble: said(self, &standing),
                taken: standing.taken.map(|commit| commit.id),
            },
            Err(failure) => Looked { taken: None, trouble: Some(failure.message) },
        }
    }
}
