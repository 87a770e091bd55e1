//! What things are called on the broker: logical names with a namespace before them.
//!
//! These names are public API: other programs publish by them, and two versions of ours meet at them. They never change;
//! what would have to be called otherwise gets a new name beside the old one, as the delay slots' `v1` provides for.

use std::fmt::Write as _;

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::topology::ROUTING_KEY_BYTES_MAX;

/// Longest namespace: with it, its dot, a queue of 128 bytes and the longest suffix, a name stays far below the 255
/// bytes of an AMQP short string.
pub(super) const NAMESPACE_BYTES_MAX: usize = 64;

/// Longest role that is spelt out in the name of its lock.
const ROLE_BYTES_MAX: usize = 128;

/// The names of one namespace. Cloning it is cheap enough for a connection, not for a message.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Empty, or the namespace and its dot.
    prefix: String,
}

impl Names {
    /// Makes the names of a namespace that [`check_namespace`] has passed.
    pub(super) fn new(namespace: Option<&str>) -> Self {
        Self { prefix: namespace.map(|namespace| format!("{namespace}.")).unwrap_or_default() }
    }

    /// A queue that is ours: of work, of dead jobs, of suspects, of retries. Also the key by which `jobs` and
    /// `jobs.only` route to it; a work queue's is the key by which `jobs.dead` routes to its dead queue.
    pub(super) fn queue(&self, queue: &QueueName) -> String {
        self.with(queue.as_str())
    }

    /// The exchange of first publishes.
    pub(super) fn jobs(&self) -> String {
        self.with("jobs")
    }

    /// The exchange of what reaches one queue and nothing else.
    pub(super) fn only(&self) -> String {
        self.with("jobs.only")
    }

    /// The exchange of dead jobs.
    pub(super) fn dead_exchange(&self) -> String {
        self.with("jobs.dead")
    }

    /// The exchange of topic events.
    pub(super) fn events(&self) -> String {
        self.with("events")
    }

    /// The exchange of direct events.
    pub(super) fn events_direct(&self) -> String {
        self.with("events.direct")
    }

    /// The exchange of headers events.
    pub(super) fn events_headers(&self) -> String {
        self.with("events.headers")
    }

    /// The exchange of the fanout of this name.
    ///
    /// # Errors
    /// When the name is empty, not text that an exchange can have, or taken by another kind of event.
    pub(super) fn fanout(&self, fanout: &str) -> Result<String> {
        let name = self.with(&format!("events.{fanout}"));
        let is_taken = matches!(fanout, "" | "direct" | "headers");
        if is_taken || name.len() > ROUTING_KEY_BYTES_MAX || fanout.chars().any(char::is_control) {
            let rest = ROUTING_KEY_BYTES_MAX - (name.len() - fanout.len());
            return Err(Error::invalid(format!(
                "the fanout {fanout:?} cannot be an exchange; name it by 1 to {rest} bytes of printable text other than \
                 \"direct\" and \"headers\""
            )));
        }
        Ok(name)
    }

    /// The queue of jobs whose queue did not exist, and the exchange that fills it.
    pub(super) fn unrouted(&self) -> String {
        self.with("jobs.unrouted")
    }

    /// The stream of settings.
    pub(super) fn ledger(&self) -> String {
        self.with("jobs.ledger")
    }

    /// The queue of one slot of the delay wheel.
    pub(super) fn slot(&self, level: u8, index: u8) -> String {
        self.with(&format!("jobs.delay.v1.{level}.{index}"))
    }

    /// The queue by whose consumers the pumps that turn the wheel are counted. It holds nothing.
    pub(super) fn pumps(&self) -> String {
        self.with("jobs.delay.v1.pumps")
    }

    /// The queue whose owner leads a role. Different roles have different names, whatever characters they have.
    pub(super) fn lock(&self, role: &str) -> String {
        self.with(&format!("jobs.lock.{}", plain(role)))
    }

    /// Returns the queue of ours that has this name on the broker; `None` for another namespace's, and for what no queue
    /// of ours is called.
    pub(super) fn logical(&self, physical: &str) -> Option<QueueName> {
        QueueName::parse_any(physical.strip_prefix(&self.prefix)?).ok()
    }

    fn with(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// Checks a namespace.
///
/// # Errors
/// When it is too long, has other characters than names have, or would make our names those of somebody else.
pub(super) fn check_namespace(namespace: &str) -> Result<()> {
    // A dot would make the queue "b.c" of "a" and the queue "c" of "a.b" the same.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_named = (1..=NAMESPACE_BYTES_MAX).contains(&namespace.len()) && namespace.chars().all(is_plain);
    if !is_named || matches!(namespace, "jobs" | "events" | "amq") {
        return Err(Error::invalid(format!(
            "namespace {namespace:?} is not usable; use 1 to {NAMESPACE_BYTES_MAX} ASCII letters, digits, '_' and '-', \
             and none of \"jobs\", \"events\", \"amq\""
        )));
    }
    Ok(())
}

/// Returns a role as part of a name, different for different roles.
fn plain(role: &str) -> String {
    let mut text = String::with_capacity(role.len());
    for byte in role.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02x}").expect("text takes everything"),
        }
    }
    if text.len() <= ROLE_BYTES_MAX {
        return text;
    }
    // "%%" cannot come from above: no short role is spelt like this.
    format!("%%{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, role.as_bytes()).simple())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NAME_BYTES_MAX;

    fn names() -> [Names; 2] {
        [Names::new(None), Names::new(Some("shop"))]
    }

    fn check(name: impl Fn(&Names) -> String, expected: &str) {
        let [bare, spaced] = names();
        assert_eq!(name(&bare), expected);
        assert_eq!(name(&spaced), format!("shop.{expected}"));
    }

    #[test]
    fn every_name_is_the_one_that_was_frozen() {
        let mail = QueueName::parse("mail").unwrap();
        check(|n| n.queue(&mail), "mail");
        check(|n| n.queue(&mail.dead()), "mail.dead");
        check(|n| n.queue(&mail.suspect()), "mail.suspect");
        check(Names::jobs, "jobs");
        check(Names::only, "jobs.only");
        check(Names::dead_exchange, "jobs.dead");
        check(Names::events, "events");
        check(Names::events_direct, "events.direct");
        check(Names::events_headers, "events.headers");
        check(|n| n.fanout("prices").unwrap(), "events.prices");
        check(Names::unrouted, "jobs.unrouted");
        check(Names::ledger, "jobs.ledger");
        check(|n| n.slot(3, 31), "jobs.delay.v1.3.31");
        check(Names::pumps, "jobs.delay.v1.pumps");
        check(|n| n.lock("schedules/shop"), "jobs.lock.schedules%2fshop");
    }

    #[test]
    fn a_physical_name_leads_back_to_its_queue() {
        let [bare, spaced] = names();
        let mail = QueueName::parse("mail").unwrap();
        assert_eq!(bare.logical("mail"), Some(mail.clone()));
        assert_eq!(spaced.logical("shop.mail"), Some(mail.clone()));
        assert_eq!(spaced.logical("shop.mail.dead"), Some(mail.dead()));
        for foreign in ["mail", "shop", "shop.", "shopping.mail", "shop.ma il"] {
            assert_eq!(spaced.logical(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_longest_names_are_short_strings() {
        let names = Names::new(Some(&"n".repeat(NAMESPACE_BYTES_MAX)));
        let queue = QueueName::parse(&"q".repeat(NAME_BYTES_MAX)).unwrap();
        let rest = ROUTING_KEY_BYTES_MAX - NAMESPACE_BYTES_MAX - ".events.".len();
        let fanout = names.fanout(&"f".repeat(rest)).unwrap();
        for name in [names.queue(&queue.suspect()), names.lock(&"ü/".repeat(200)), fanout, names.slot(255, 255)] {
            assert!(name.len() <= ROUTING_KEY_BYTES_MAX, "{name}");
        }
        assert!(names.fanout(&"f".repeat(rest + 1)).unwrap_err().to_string().contains("1 to 183 bytes"));
    }

    #[test]
    fn a_fanout_is_not_taken_for_another_exchange() {
        for name in ["", "direct", "headers", "a\nb"] {
            assert!(names()[1].fanout(name).unwrap_err().is_invalid(), "{name:?}");
        }
    }

    #[test]
    fn roles_that_differ_have_locks_that_differ() {
        let long = "r".repeat(ROLE_BYTES_MAX);
        let roles = ["a/b", "a%2fb", "a b", "ä", &long, &format!("{long}1"), &format!("{long}2")];
        let mut locks: Vec<String> = roles.iter().map(|role| names()[0].lock(role)).collect();
        locks.sort();
        locks.dedup();
        assert_eq!(locks.len(), roles.len());
    }

    #[test]
    fn namespaces_that_could_be_taken_for_another_are_refused() {
        for namespace in ["", "a.b", "a b", "jobs", "events", "amq", &"n".repeat(NAMESPACE_BYTES_MAX + 1)] {
            assert!(check_namespace(namespace).is_err(), "{namespace:?}");
        }
        for namespace in ["shop", "jobs2", "a-b_C", &"n".repeat(NAMESPACE_BYTES_MAX)] {
            assert!(check_namespace(namespace).is_ok(), "{namespace:?}");
        }
    }
}
