//! Writes the code of one job, inside an anonymous constant, by absolute paths only: nothing that the user named
//! `Result` or `serde` changes its meaning.

use std::time::Duration;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, LitStr, Path};

use crate::alias;
use crate::backoff::{Backoff, Exponential};
use crate::check::default_kind;
use crate::options::Options;
use crate::source;

/// A checked job.
pub(crate) struct Job<'a> {
    /// The type.
    pub(crate) input: &'a DeriveInput,
    /// What it says about itself.
    pub(crate) options: &'a Options,
    /// The crate with `__private`.
    pub(crate) root: &'a Path,
}

impl Job<'_> {
    /// Writes everything that a job has.
    pub(crate) fn expand(&self) -> TokenStream {
        let (any_job, needs) = (self.any_job(), self.needs());
        let (job, registration) = (self.job(), self.registration());
        let aliases = self.options.aliases.iter().map(|text| alias::expand(self.root, &self.input.ident, text));
        self.enclosed(&quote!(#job #any_job #(#aliases)* #needs #registration))
    }

    /// Writes what keeps other code from failing because of a mistake that was told already: no handler is asked for.
    pub(crate) fn expand_stub(&self) -> TokenStream {
        if matches!(self.input.data, Data::Union(_)) {
            return TokenStream::new();
        }
        if self.input.generics.params.is_empty() {
            let (job, any_job, needs) = (self.job(), self.any_job(), self.needs());
            return self.enclosed(&quote!(#job #any_job #needs));
        }
        self.generic_stub()
    }

    fn enclosed(&self, items: &TokenStream) -> TokenStream {
        let root = self.root;
        quote! {
            const _: () = {
                // `#[typetag::serde]` writes bare `typetag::` paths.
                use #root::__private::typetag;
                #items
            };
        }
    }

    fn job(&self) -> TokenStream {
        let (root, ident) = (self.root, &self.input.ident);
        let (kind, aliases, options) = (self.kind(), &self.options.aliases, self.job_options());
        quote! {
            #[automatically_derived]
            impl #root::__private::Job for #ident {
                const KIND: &'static ::core::primitive::str = #kind;
                const ALIASES: &'static [&'static ::core::primitive::str] = &[#(#aliases),*];
                const OPTIONS: #root::__private::JobOptions = #options;
            }
        }
    }

    fn any_job(&self) -> TokenStream {
        let (root, ident, kind) = (self.root, &self.input.ident, self.kind());
        quote! {
            #[typetag::serde(name = #kind)]
            #[automatically_derived]
            impl #root::__private::AnyJob for #ident {
                fn kind(&self) -> &'static ::core::primitive::str {
                    #kind
                }

                fn options(&self) -> &'static #root::__private::JobOptions {
                    #root::__private::options_of::<Self>()
                }

                fn payload(&self) -> #root::__private::PayloadResult {
                    #root::__private::payload_of::<Self>(self)
                }
            }
        }
    }

    fn needs(&self) -> TokenStream {
        let (root, ident, states) = (self.root, &self.input.ident, &self.options.states);
        quote! {
            #(
                #[automatically_derived]
                impl #root::__private::Needs<#states> for #ident {}
            )*
        }
    }

    fn registration(&self) -> TokenStream {
        let (root, ident, states) = (self.root, &self.input.ident, &self.options.states);
        let (perform, handler) = (self.perform(), self.handler());
        let one_handler = self.one_handler();
        let schedules = self.options.timetable.expand(&quote!(#root::__private), ident);
        quote! {
            #root::__private::inventory::submit! {
                #root::__private::JobType::of::<#ident>()
            }
            #root::__private::inventory::submit! {
                #root::__private::Descriptor::of::<#ident>(
                    &[#(#root::__private::StateNeed::of::<#states>()),*],
                    #perform,
                    #handler,
                )
            }
            #one_handler
            #schedules
        }
    }

    fn perform(&self) -> TokenStream {
        if self.options.handler.is_some() {
            return quote!(::core::option::Option::None);
        }
        let (root, ident, at) = (self.root, &self.input.ident, self.at_type());
        let perform = match self.options.blocking {
            Some(_) => quote_spanned!(at=> perform_blocking),
            None => quote_spanned!(at=> perform_async),
        };
        quote_spanned!(at=> ::core::option::Option::Some(#root::__private::#perform::<#ident>))
    }

    /// Refuses two handlers: which one runs would depend on one word of the attribute.
    fn one_handler(&self) -> TokenStream {
        if self.options.handler.is_some() {
            return TokenStream::new();
        }
        let (root, ident, at) = (self.root, &self.input.ident, self.at_type());
        let message = format!(
            "the job `{}` implements both `Perform` and `PerformBlocking`; remove one of the two",
            self.input.ident
        );
        quote_spanned! {at=>
            const _: () = {
                use #root::__private::HandlerProbeFallback as _;
                ::core::assert!(
                    !(<#root::__private::HandlerProbe<#ident>>::IS_ASYNC
                        && <#root::__private::HandlerProbe<#ident>>::IS_BLOCKING),
                    #message
                );
            };
        }
    }

    fn handler(&self) -> TokenStream {
        option(self.options.handler.as_ref().map(|text| quote!(#text)))
    }

    fn kind(&self) -> LitStr {
        let default = || LitStr::new(&default_kind(self.input), Span::call_site());
        self.options.name.clone().unwrap_or_else(default)
    }

    /// Starts from the defaults of job-core, which has them once.
    fn job_options(&self) -> TokenStream {
        let (root, given) = (self.root, self.given());
        if given.is_empty() {
            return quote!(#root::__private::JobOptions::DEFAULT);
        }
        let options = options_variable();
        quote! {{
            let mut #options = #root::__private::JobOptions::DEFAULT;
            #given
            #options
        }}
    }

    fn given(&self) -> TokenStream {
        let o = self.options;
        let timeout = o.timeout.map(|timeout| option(timeout.map(duration)));
        let some = |tokens: TokenStream| option(Some(tokens));
        let concurrency = o.concurrency.map(Literal::u32_unsuffixed);
        let backoff = o.backoff.as_ref().map(|policy| backoff(self.root, policy));
        let fields = [
            ("queue", o.queue.as_ref().map(|queue| quote!(#queue))),
            ("max_attempts", o.ephemeral.map_or(o.max_attempts, |_| Some(1)).map(|count| quote!(#count))),
            ("backoff", backoff),
            ("timeout", timeout),
            ("expires", o.expires.map(duration).map(some)),
            ("concurrency", concurrency.map(|count| some(quote!(#count)))),
            ("is_blocking", o.blocking.map(|_| quote!(true))),
            ("is_external", o.external.map(|_| quote!(true))),
            ("subscription", self.subscription().map(some)),
        ];
        fields.into_iter().filter_map(|(field, value)| Some(assignment(field, &value?))).collect()
    }

    fn subscription(&self) -> Option<TokenStream> {
        self.options.on?;
        let root = self.root;
        let private = quote!(#root::__private);
        let sources = self.options.sources.iter().map(|source| source::expand(&private, source));
        let group = option(self.options.group.as_ref().map(|group| quote!(#group)));
        let is_ephemeral = self.options.ephemeral.is_some();
        Some(quote! {
            #private::Subscription { group: #group, sources: &[#(#sources),*], is_ephemeral: #is_ephemeral }
        })
    }

    fn generic_stub(&self) -> TokenStream {
        let (root, ident) = (self.root, &self.input.ident);
        let (impl_generics, type_generics, clause) = self.input.generics.split_for_impl();
        let predicates = clause.map(|clause| &clause.predicates).into_iter().flatten();
        let serde = quote!(#root::__private::serde);
        quote! {
            const _: () = {
                #[automatically_derived]
                impl #impl_generics #root::__private::Job for #ident #type_generics
                where
                    Self: #serde::Serialize + #serde::de::DeserializeOwned + ::core::marker::Send + 'static,
                    #(#predicates,)*
                {
                    const KIND: &'static ::core::primitive::str = "";
                }
            };
        }
    }

    /// The place of the type's name, in our own hygiene: lints of the user's code do not apply.
    fn at_type(&self) -> Span {
        Span::call_site().located_at(self.input.ident.span())
    }
}

/// A name that no path of the user's can mean.
fn options_variable() -> Ident {
    Ident::new("options", Span::mixed_site())
}

fn assignment(field: &str, value: &TokenStream) -> TokenStream {
    let (options, field) = (options_variable(), Ident::new(field, Span::call_site()));
    quote!(#options.#field = #value;)
}

fn backoff(root: &Path, policy: &Backoff) -> TokenStream {
    match policy {
        Backoff::Fixed(delay) => {
            let delay = duration(*delay);
            quote!(#root::__private::Backoff::Fixed(#delay))
        }
        Backoff::Custom(path) => quote!(#root::__private::Backoff::Custom(#path)),
        Backoff::Exponential(Exponential { min, max, factor, jitter }) => {
            let (min, max) = (duration(*min), duration(*max));
            quote! {
                #root::__private::Backoff::Exponential { min: #min, max: #max, factor: #factor, jitter: #jitter }
            }
        }
    }
}

fn duration(duration: Duration) -> TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanos))
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
