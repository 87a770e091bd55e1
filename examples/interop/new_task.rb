require "bunny"

connection = Bunny.new
connection.start

channel = connection.create_channel
queue = channel.queue("awesome_task_queue", durable: true)

["Hello World", "Hello Rust", "Hello again"].each do |text|
  queue.publish(text, persistent: true)
  puts " [x] Sent #{text}"
end

connection.close
