//! The options of one event, each read and typed. What options say about each other is `check`'s.

use std::collections::HashSet;

use proc_macro2::Span;
use syn::{Error, LitStr, Path, Result};

use crate::attr::{Entry, Value};
use crate::mistake::Mistakes;
use crate::suggest::nearest;
use crate::value;

/// Every option of `#[event(…)]` above a type.
const OPTIONS: [&str; 7] = ["crate", "direct", "exchange", "fanout", "headers", "name", "topic"];

/// Words that other frameworks have for it, and what to write here.
const FOREIGN: [(&[&str], &str); 4] = [
    (&["key", "routing_key", "subject", "channel"], "did you mean \"topic\"?"),
    (&["kind", "type", "event_name", "rename"], "did you mean \"name\"?"),
    (&["header"], "it belongs to a field: write #[event(header)] above it, and `headers` here"),
    (&["queue"], "an event has no queue: who listens is the listener's business"),
];

/// What `#[event(…)]` says; `None` where it says nothing.
#[derive(Default)]
pub(super) struct Options {
    pub(super) name: Option<LitStr>,
    /// Where it goes, each as often as it was said.
    pub(super) routes: Vec<Route>,
    pub(super) exchange: Option<LitStr>,
    pub(super) root: Option<Path>,
    /// True even if where it goes could not be read.
    pub(super) is_route_given: bool,
}

/// Where an event goes.
pub(super) enum Route {
    Topic(LitStr),
    Direct(LitStr),
    Headers(Span),
    /// The fanout of a name, or, at somebody else's exchange, that exchange itself.
    Fanout(Span, Option<LitStr>),
}

impl Route {
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Topic(lit) | Self::Direct(lit) => lit.span(),
            Self::Headers(span) | Self::Fanout(span, _) => *span,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Topic(_) => "topic",
            Self::Direct(_) => "direct",
            Self::Headers(_) => "headers",
            Self::Fanout(..) => "fanout",
        }
    }
}

impl Options {
    /// Reads the options; what cannot be read is a mistake, and is left out.
    pub(super) fn of(entries: &[Entry], mistakes: &mut Mistakes) -> Self {
        let mut options = Self::default();
        let mut seen = HashSet::new();
        for entry in entries {
            let name = entry.name.to_string();
            if !seen.insert(name.clone()) && OPTIONS.contains(&name.as_str()) {
                mistakes.push(entry.name.span(), format!("option \"{name}\" is given twice; keep one of them"));
            } else if let Err(error) = options.set(&name, entry) {
                mistakes.add(error);
            }
        }
        options
    }

    fn set(&mut self, name: &str, entry: &Entry) -> Result<()> {
        self.is_route_given |= ["topic", "direct", "headers", "fanout"].contains(&name);
        let span = entry.name.span();
        match name {
            "name" => self.name = Some(value::text(entry, "name = \"profile_updated\"")?),
            "exchange" => self.exchange = Some(value::text(entry, "exchange = \"legacy\"")?),
            "topic" => self.routes.push(Route::Topic(value::text(entry, "topic = \"member.updated\"")?)),
            "direct" => self.routes.push(Route::Direct(value::text(entry, "direct = \"pdf\"")?)),
            "headers" => self.routes.push(Route::Headers(value::flag(entry)?)),
            "fanout" if matches!(entry.value, Value::None) => self.routes.push(Route::Fanout(span, None)),
            "fanout" => self.routes.push(Route::Fanout(span, Some(value::text(entry, "fanout = \"prices\"")?))),
            "crate" => self.root = Some(value::path(entry, "crate = ::my_jobs::job_core")?),
            _ => {
                // It may have been meant to say where the event goes: one slip is one mistake.
                self.is_route_given = true;
                return Err(Error::new(span, unknown(name)));
            }
        }
        Ok(())
    }
}

fn unknown(name: &str) -> String {
    let foreign = FOREIGN.iter().find(|(words, _)| words.contains(&name));
    let hint = match (foreign, nearest(name, &OPTIONS)) {
        (Some((_, hint)), _) => (*hint).to_owned(),
        (None, Some(near)) => format!("did you mean \"{near}\"?"),
        (None, None) => format!("the options are {}", OPTIONS.join(", ")),
    };
    format!("unknown option \"{name}\"; {hint}")
}
