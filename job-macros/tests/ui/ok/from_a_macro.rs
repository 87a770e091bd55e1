//! Jobs whose struct or options come out of the user's own macro.
use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

struct Store<T>(T);

macro_rules! jobs {
    ($($name:ident in $queue:literal $(after $attempts:expr)?, needs $state:ty;)*) => {$(
        #[derive(Job, Serialize, Deserialize)]
        #[job(queue = $queue $(, max_attempts = $attempts)?, state($state), crate = $crate::again)]
        struct $name;

        impl Perform for $name {
            async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
                let Store(_) = cx.state::<$state>();
                Ok(())
            }
        }
    )*};
}

mod again {
    pub use job_core::__private;
}

jobs! {
    SendMail in "mail" after 3, needs Store<u8>;
    r#Resize in "images", needs Store<(u8, u8)>;
}

fn main() {
    let found = job_core::registry::Registry::linked().unwrap();
    let found: Vec<_> = found.iter().map(|d| (d.job.kind, d.job.options.queue, d.job.options.max_attempts)).collect();
    assert_eq!(found, [("resize", "images", 20), ("send_mail", "mail", 3)]);
}
