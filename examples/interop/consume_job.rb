require "bunny"
require "json"

$stdout.sync = true

connection = Bunny.new
connection.start
channel = connection.create_channel
channel.prefetch(10)

# Passive: it is declared by whoever owns it.
queue = channel.queue("reports", passive: true)

queue.subscribe(manual_ack: true, block: true) do |delivery, properties, body|
  job = JSON.parse(body)
  puts "#{properties.type} #{properties.message_id}: the report of #{job["month"]}"
  channel.ack(delivery.delivery_tag)
rescue JSON::ParserError
  channel.reject(delivery.delivery_tag) # not requeued: it goes to reports.dead
end
