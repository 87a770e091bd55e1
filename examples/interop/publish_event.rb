require "bunny"
require "json"
require "securerandom"

connection = Bunny.new
connection.start
channel = connection.create_channel
channel.confirm_select

events = channel.topic("events", passive: true)

events.publish(
  JSON.generate(member: 7, changed: ["address"]),
  routing_key: "member.profile.updated",
  message_id: SecureRandom.uuid,
  content_type: "application/json",
  persistent: true
)
raise "RabbitMQ did not take it" unless channel.wait_for_confirms

connection.close
