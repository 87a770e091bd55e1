//! What every raw program begins with.

use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection, ConnectionProperties};

pub(super) async fn connect(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default()).await.expect("the broker is there")
}

/// Opens a channel that confirms what it takes.
pub(super) async fn confirming(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    channel
}

/// Says good-bye.
pub(super) async fn close(connection: Connection) {
    connection.close(200, "OK".into()).await.expect("it is closed");
}
