//! The application's name, said once in a program: the group of its subscriptions, where they name none themselves.

use crate::error::{Error, Result};

/// Longest name of an application, in bytes: a queue's name has to hold a kind beside it.
pub const NAME_BYTES_MAX: usize = 64;

/// A name that the program gave itself; [`application!`](crate::application!) makes it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Application {
    name: &'static str,
    place: &'static str,
}

inventory::collect!(Application);

impl Application {
    /// Checks the name while the program is compiled.
    ///
    /// # Panics
    /// When the name is not 1 to [`NAME_BYTES_MAX`] ASCII letters, digits, `_` and `-`, or is one of ours.
    #[must_use]
    pub const fn new(name: &'static str, place: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() <= NAME_BYTES_MAX,
            "the name of an application has 1 to 64 bytes; choose a short one"
        );
        let mut i = 0;
        while i < bytes.len() {
            assert!(
                bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_' || bytes[i] == b'-',
                "the name of an application has ASCII letters, digits, '_' and '-'"
            );
            i += 1;
        }
        assert!(
            !matches!(bytes, b"jobs" | b"events"),
            "queues that begin with \"jobs.\" and \"events.\" are reserved; choose another name"
        );
        Self { name, place }
    }
}

/// Names the application, once in a program: `job_core::application!("shop");`, beside the items of a module.
///
/// A subscription whose job says no `group` belongs to the group of this name: its queue is `<group>.<kind>`, which all
/// workers of the application share, while another application has a queue of its own. Clients, workers and the commands
/// of `topology` read it. Two of them in one program are an error at start.
///
/// ```
/// job_core::application!("shop");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! application {
    ($name:expr $(,)?) => {
        $crate::__private::inventory::submit! {
            $crate::application::Application::new(
                $name,
                ::core::concat!(::core::file!(), ":", ::core::line!()),
            )
        }
    };
}

/// Returns the name that the program was given, if any.
///
/// # Errors
/// When it was given two; both are named.
pub fn name() -> Result<Option<&'static str>> {
    name_of(inventory::iter::<Application>)
}

fn name_of(applications: impl IntoIterator<Item = &'static Application>) -> Result<Option<&'static str>> {
    let mut all: Vec<&Application> = applications.into_iter().collect();
    all.sort_unstable_by_key(|application| application.place);
    match all.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.name)),
        [one, other, ..] => Err(Error::invalid(format!(
            "the program is named twice: application!(\"{}\") at {} and application!(\"{}\") at {}; keep one of them",
            one.name, one.place, other.name, other.place
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_one_name_or_none() {
        static ONE: Application = Application::new("shop", "src/a.rs:1");
        static OTHER: Application = Application::new("billing", "src/b.rs:2");
        assert_eq!(name_of([]).unwrap(), None);
        assert_eq!(name_of([&ONE]).unwrap(), Some("shop"));
        assert_eq!(
            name_of([&OTHER, &ONE]).unwrap_err().to_string(),
            "the program is named twice: application!(\"shop\") at src/a.rs:1 and application!(\"billing\") at \
             src/b.rs:2; keep one of them"
        );
    }
}
