//! What the derive makes of `on(…)`: patterns, groups and queues.

use job_core::job::JobType;
use job_core::registry::Registry;
use job_core::topology::{HeadersMode, Pattern};
use job_core::{ExchangeName, Job};
use serde::{Deserialize, Serialize};

job_core::application!("shop");

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.*.updated"), on(direct = "pdf"), on(fanout = "prices"), handler = "elsewhere")]
#[job(on(headers(all, format = "pdf", "content-kind" = "x")), on(headers(any, r#type = "a")))]
struct Mirror {
    id: u64,
}

#[derive(Job, Serialize, Deserialize)]
#[job(on(exchange = "legacy", topic = "#"), on(exchange = "old", fanout), group = "billing", handler = "elsewhere")]
struct Bill {}

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "#"), ephemeral, handler = "elsewhere")]
struct Cache {}

fn patterns<J: Job>() -> Vec<Pattern> {
    J::OPTIONS.subscription.expect("it listens").patterns().expect("patterns of the derive are sound")
}

#[test]
fn every_way_to_listen_is_a_pattern() {
    let headers = |mode, values: &[(&str, &str)]| Pattern::Headers {
        mode,
        values: values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    };
    let expected = [
        Pattern::Topic("member.*.updated".into()),
        Pattern::Direct("pdf".into()),
        Pattern::Fanout("prices".into()),
        headers(HeadersMode::All, &[("format", "pdf"), ("content-kind", "x")]),
        headers(HeadersMode::Any, &[("type", "a")]),
    ];
    assert_eq!(patterns::<Mirror>(), expected);
    let at = |name: &str| ExchangeName::parse(name).expect("a valid name");
    assert_eq!(
        patterns::<Bill>(),
        [Pattern::Topic("#".into()).at(at("legacy")), Pattern::Fanout("old".into()).at(at("old"))]
    );
}

#[test]
fn the_queue_is_named_after_group_and_kind() {
    let queue = |kind: &str| JobType::find(kind).expect("it is linked").queue();
    assert_eq!(queue("mirror").unwrap().as_str(), "shop.mirror");
    assert_eq!(queue("bill").unwrap().as_str(), "billing.bill");
    assert!(queue("cache").unwrap_err().to_string().contains("ephemeral"));
    let cache = Cache::OPTIONS.subscription.unwrap();
    assert_eq!(cache.process_queue("cache", "1a2b").unwrap().as_str(), "shop.cache.1a2b");
    assert_eq!((cache.is_ephemeral, Cache::OPTIONS.max_attempts), (true, 1));
    assert!(Registry::linked().is_ok());
}
