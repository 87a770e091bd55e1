//! The nodes that the tests of the RabbitMQ broker run on: shared, killed, brought back, throttled.

mod amqp_node;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use amqp_node::Node;

/// Says AMQP's greeting to a node, and tells whether it answers with a method.
fn greets(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut first = [0];
    stream.write_all(b"AMQP\0\0\x09\x01").is_ok() && stream.read_exact(&mut first).is_ok() && first == [1]
}

fn address(url: &str) -> &str {
    url.strip_prefix("amqp://guest:guest@").and_then(|rest| rest.strip_suffix("/%2f")).expect("the URL of one node")
}

#[test]
fn the_shared_node_answers() {
    assert!(greets(address(amqp_node::url())));
}

#[test]
fn who_asks_at_once_gets_one_node() {
    let ask = || thread::spawn(|| Node::single("asked-at-once"));
    let nodes = [ask(), ask()].map(|asked| asked.join().expect("a node"));
    assert_eq!(nodes[0].url(), nodes[1].url());
    assert!(greets(address(nodes[0].url())));
}

#[test]
fn a_killed_node_comes_back_with_what_it_stored() {
    let node = Node::single("killed");
    node.ctl(1, &["add_vhost", "kept"]);
    node.kill(1);
    assert!(!greets(address(node.url())));
    node.bring_back();
    assert!(greets(address(node.url())));
    let vhosts = node.ctl(1, &["list_vhosts"]);
    assert!(vhosts.lines().any(|vhost| vhost == "kept"), "{vhosts}");
}
