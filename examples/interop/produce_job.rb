require "bunny"
require "json"
require "securerandom"

connection = Bunny.new
connection.start
channel = connection.create_channel
channel.confirm_select

# Passive: it must be there already, and is never changed.
jobs = channel.direct("jobs", passive: true)

jobs.publish(
  JSON.generate(member: 7, name: "Ada"),
  routing_key: "mail",             # the queue
  type: "send_welcome",            # the kind
  message_id: SecureRandom.uuid,   # the same one again, if this is sent again
  content_type: "application/json",
  persistent: true
)
raise "RabbitMQ did not take it" unless channel.wait_for_confirms

connection.close
