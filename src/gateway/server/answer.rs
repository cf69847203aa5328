use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::future::{Either, Ready, ready};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, service::Service as HyperService};
use pin_project_lite::pin_project;
use tower_responses_core::{ApiError, BoxError, RequestBody, ResponseBody};
use tower_service::Service;

use super::{
    activity::{Activity, Answering},
    body::ClientBody,
    connection_service::ConnectionService,
    stream_tasks::Handed,
};

/// What a connection gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    Everything,
    /// There are as many connections as there may be. Whoever asks whether the gateway is alive is
    /// told so nevertheless.
    Health,
}

/// The service as the requests of one connection get to it.
pub(super) struct ClientService<S> {
    service: ConnectionService<S>,
    served: Served,
    activity: Arc<Activity>,
}

impl<S> ClientService<S> {
    pub(super) fn new(service: S, served: Served, activity: Arc<Activity>) -> Self {
        Self { service: ConnectionService::new(service), served, activity }
    }
}

type Refused = Ready<Result<Response<ResponseBody>, Infallible>>;

impl<S> HyperService<Request<Incoming>> for ClientService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = Infallible> + Clone,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = AnswerFuture<<ConnectionService<S> as HyperService<Request<RequestBody>>>::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (answering, too_many) = self.activity.begin();
        let answering = Some(answering);
        if (too_many || self.served == Served::Health) && request.uri().path() != "/health" {
            let message = "there are as many connections or requests as there may be";
            let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message);
            let refused = ready(Ok(error.code("overloaded").retry_after(1).into_response()));
            return AnswerFuture { future: Either::Right(refused), answering };
        }
        let request = request.map(|body| ClientBody::request_body(body, &self.activity));
        AnswerFuture { future: Either::Left(self.service.call(request)), answering }
    }
}

pin_project! {
    pub(super) struct AnswerFuture<F> {
        #[pin]
        future: Either<F, Refused>,
        answering: Option<Answering>,
    }
}

impl<F> Future for AnswerFuture<F>
where
    F: Future<Output = Result<Response<ResponseBody>, Infallible>>,
{
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let answering = this.answering.take();
        Poll::Ready(Ok(response.map(|body| AnswerBody { body, handed: Handed::here(), _answering: answering })))
    }
}

/// The body of an answer on its way to the client.
pub(super) struct AnswerBody {
    body: ResponseBody,
    /// Over HTTP/2, where each answer has to wait for the client by itself.
    handed: Option<Handed>,
    _answering: Option<Answering>,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(handed) = &mut self.handed {
            handed.set(matches!(frame, Poll::Ready(Some(Ok(_)))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
