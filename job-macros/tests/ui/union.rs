use job_core::Job;

#[derive(Job)]
union Mail {
    to: u32,
    from: i32,
}

fn main() {}
