//! What the derive makes of right events: where they go, and with which headers.

use std::collections::BTreeMap;

use job_core::topology::{ROUTING_KEY_BYTES_MAX, Target};
use job_core::{Event, ExchangeName};
use serde::Serialize;

#[derive(Event, Serialize)]
#[event(topic = "member.profile.updated")]
struct ProfileUpdated {
    id: u64,
}

#[derive(Event, Serialize)]
#[event(topic = "user.{user}.{_0r}", name = "gone")]
struct Placeholders<'a> {
    user: &'a str,
    #[serde(rename = "zero")]
    #[allow(non_snake_case, reason = "a name that looks like a number with more")]
    _0r: u8,
}

#[derive(Event, Serialize)]
#[event(direct = "{0}", exchange = "legacy")]
struct Tuple(String);

#[derive(Event, Serialize)]
#[event(headers)]
struct Document {
    #[event(header)]
    format: &'static str,
    #[event(header = "page-count")]
    pages: u32,
    title: String,
}

#[derive(Event, Serialize)]
#[event(exchange = "legacy", fanout)]
struct Foreign;

#[derive(Event, Serialize)]
#[event(fanout = "prices")]
struct Prices;

fn legacy(target: Target) -> Target {
    target.at(ExchangeName::parse("legacy").expect("a valid name"))
}

#[test]
fn an_event_says_its_kind_and_where_it_goes() {
    let updated = ProfileUpdated { id: 7 };
    assert_eq!(ProfileUpdated::KIND, "profile_updated");
    assert_eq!(updated.target().unwrap(), Target::Topic("member.profile.updated".into()));
    assert_eq!(updated.payload().unwrap(), br#"{"id":7}"#);
    assert_eq!(updated.headers(), BTreeMap::new());
    assert_eq!(Prices.target().unwrap(), Target::Fanout("prices".into()));
    assert_eq!(Foreign.target().unwrap(), legacy(Target::Fanout("legacy".into())));
    assert_eq!(Tuple("a".into()).target().unwrap(), legacy(Target::Direct("a".into())));
}

#[test]
fn a_value_that_would_make_it_another_key_is_refused() {
    let target = |user| Placeholders { user, _0r: 1 }.target();
    assert_eq!(Placeholders::KIND, "gone");
    assert_eq!(target("ada").unwrap(), Target::Topic("user.ada.1".into()));
    assert_eq!(
        target("a.b").unwrap_err().to_string(),
        "the field `user` is part of the routing key, and its value \"a.b\" has the character '.', which would make it \
         another key; leave the field out of the key, or write it without"
    );
    assert_eq!(target("").unwrap_err().to_string(), "the field `user` is part of the routing key, and is empty");
    let long = target(&"x".repeat(ROUTING_KEY_BYTES_MAX)).unwrap().check().unwrap_err();
    assert_eq!(long.to_string(), "a routing key has at most 255 bytes, this one has 262");
}

#[test]
fn fields_are_headers_as_text() {
    let document = Document { format: "pdf", pages: 3, title: "A".into() };
    assert_eq!(document.target().unwrap(), Target::Headers);
    assert_eq!(document.headers(), [("format", "pdf".to_owned()), ("page-count", "3".to_owned())].into());
    assert_eq!(document.payload().unwrap(), br#"{"format":"pdf","pages":3,"title":"A"}"#);
    assert_eq!(document.title, "A");
}
