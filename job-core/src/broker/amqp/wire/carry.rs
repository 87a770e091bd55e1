//! The properties of a message that goes on as it is.

use lapin::BasicProperties;
use lapin::types::FieldTable;

use crate::broker::amqp::wire::header;
use crate::broker::amqp::wire::write::PERSISTENT;

/// Returns the properties with which a message goes on, with the headers that `is_kept` keeps of those that no broker added.
///
/// A user other than ours would close the channel on which it is published, each time anew; an expiry would drop it where
/// it waits. Both stay behind.
pub(in crate::broker::amqp) fn carried(
    properties: &BasicProperties,
    is_kept: impl Fn(&str) -> bool,
) -> BasicProperties {
    let mut carried = BasicProperties::default().with_delivery_mode(PERSISTENT);
    macro_rules! carry {
        ($($get:ident $set:ident),*) => {
            $(if let Some(value) = properties.$get() {
                carried = carried.$set(value.clone());
            })*
        };
    }
    carry!(
        content_type with_content_type, content_encoding with_content_encoding, priority with_priority,
        correlation_id with_correlation_id, reply_to with_reply_to, message_id with_message_id,
        timestamp with_timestamp, kind with_type, app_id with_app_id
    );
    let mut headers = FieldTable::default();
    let others = properties.headers().iter().flatten().filter(|(name, _)| !header::is_of_broker(name.as_str()));
    for (name, value) in others.filter(|(name, _)| is_kept(name.as_str())) {
        headers.insert(name.clone(), value.clone());
    }
    if headers.inner().is_empty() { carried } else { carried.with_headers(headers) }
}
