require "bunny"
require "json"

$stdout.sync = true

connection = Bunny.new
connection.start
channel = connection.create_channel
channel.prefetch(10)

events = channel.topic("events", passive: true)

# The queue is this program's own: it lasts, and gathers events while nobody is here.
queue = channel.queue("search.members", durable: true, arguments: { "x-queue-type" => "quorum" })
queue.bind(events, routing_key: "member.*.updated")
puts "listening"

queue.subscribe(manual_ack: true, block: true) do |delivery, _properties, body|
  event = JSON.parse(body)
  puts "#{delivery.routing_key}: member #{event["member"]} changed #{event["changed"].join(", ")}"
  channel.ack(delivery.delivery_tag)
end
