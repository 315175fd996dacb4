// Streams and events, and when their work is done: at once, or (deferred) as late as the program allows, which is when
// something waits for it. Deferred streams show missing synchronisation and host buffers that are used again too early.
// A stream made with the default flag and the null stream wait for each other, as in CUDA.
#include <algorithm>
#include <chrono>

#include "driver.hpp"

namespace brantas::emulator {
namespace {

/// What an event notes: the time, or one millisecond for each kernel of the device so far.
double milliseconds() {
    if (driver().choices.clock_counts_kernels) return static_cast<double>(driver().kernels_done);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Does the first piece of a stream's work.
Code do_next(Stream& stream) {
    Driver& device = driver();
    if (device.sticky != SUCCESS || stream.queue.empty()) return device.sticky;
    Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    Code code = work();
    if (code != SUCCESS) device.sticky = code;
    return code;
}

/// Does a stream's work up to and including that which makes a record of `event`.
Code flush_to(Stream& stream, const Event& event, uint64_t record) {
    while (event.reached < record && !stream.queue.empty())
        if (Code code = do_next(stream)) return code;
    return driver().sticky;
}

Code queue(Stream& stream, Work work) {
    Driver& device = driver();
    if (device.choices.streams == Streams::DEFERRED) {
        stream.queue.push_back(std::move(work));
        return SUCCESS;
    }
    // Errors show at the next call, as they do on a device that is a little slower than the host.
    Code code = work();
    if (code != SUCCESS) device.sticky = code;
    return SUCCESS;
}

void note_node(Stream& stream, NodeKind kind, Work act) {
    stream.capture->graph->nodes.push_back({kind, std::move(act)});
    stream.nodes_in_capture++;
}

Code capture_wait(Stream& stream, Event& event) {
    Capture* capture = event.capture;
    if (stream.capture == nullptr) {
        stream.capture = capture;
        stream.nodes_in_capture = 0;
        stream.nodes_joined = 0;
        capture->joined.push_back(&stream);
    }
    if (stream.capture != capture) {
        capture->invalidated = true;
        return error(STREAM_CAPTURE_ISOLATION, "cuStreamWaitEvent joins two captures");
    }
    if (event.stream != &stream) event.stream->nodes_joined = std::max(event.stream->nodes_joined, event.captured_nodes);
    return SUCCESS;
}

}  // namespace

Stream* stream_of(void* handle, const char* function) {
    Driver& device = driver();
    // 1 and 2 are the driver's names for the legacy and the per-thread default stream.
    if (handle == nullptr || handle == reinterpret_cast<void*>(1)) return &device.null_stream;
    auto* stream = static_cast<Stream*>(handle);
    if (handle == reinterpret_cast<void*>(2) || !is_valid(stream, "the stream", function)) return nullptr;
    if (stream->context != current_context()) {
        error(INVALID_HANDLE, std::string(function) + ": the stream belongs to another context than the current one");
        return nullptr;
    }
    return stream;
}

Code flush(Stream& stream) {
    if (&stream == &driver().null_stream) return flush_for_null_stream();
    if (stream.blocking)
        while (!driver().null_stream.queue.empty())
            if (Code code = do_next(driver().null_stream)) return code;
    while (!stream.queue.empty())
        if (Code code = do_next(stream)) return code;
    return driver().sticky;
}

Code flush_all() {
    for (Stream* stream : driver().streams)
        if (Code code = flush(*stream)) return code;
    return flush_for_null_stream();
}

Code flush_for_null_stream() {
    for (Stream* stream : driver().streams)
        while (stream->blocking && !stream->queue.empty())
            if (Code code = do_next(*stream)) return code;
    Stream& null_stream = driver().null_stream;
    while (!null_stream.queue.empty())
        if (Code code = do_next(null_stream)) return code;
    return driver().sticky;
}

Code submit(Stream& stream, NodeKind kind, Work act) {
    if (stream.capture != nullptr) {
        if (stream.capture->invalidated) return STREAM_CAPTURE_INVALIDATED;
        note_node(stream, kind, std::move(act));
        return SUCCESS;
    }
    // Queues keep the order between the null stream and the blocking streams by emptying the other side first.
    bool null = &stream == &driver().null_stream;
    if (null) {
        for (Stream* other : driver().streams)
            if (other->blocking && !other->queue.empty())
                if (flush(*other) != SUCCESS) return SUCCESS;
    } else if (stream.blocking && !driver().null_stream.queue.empty()) {
        if (flush_for_null_stream() != SUCCESS) return SUCCESS;
    }
    return queue(stream, std::move(act));
}

}  // namespace brantas::emulator

using namespace brantas::emulator;

API cuStreamCreateWithPriority(Stream** stream, unsigned flags, int) {
    ENTER(cuStreamCreateWithPriority, CONTEXT);
    if (flags > 1) return error(INVALID_VALUE, "cuStreamCreate: unknown flags");
    if (strikes("STREAM")) return OUT_OF_MEMORY;
    *stream = new Stream;
    (*stream)->context = current_context();
    (*stream)->blocking = flags == 0;
    register_handle(*stream);
    driver().streams.push_back(*stream);
    driver().count("live_streams");
    return SUCCESS;
}

API cuStreamCreate(Stream** stream, unsigned flags) {
    return cuStreamCreateWithPriority(stream, flags, 0);
}

/// The driver finishes the stream's work in its own time; here before the call returns.
API cuStreamDestroy_v2(void* handle) {
    ENTER(cuStreamDestroy_v2, CONTEXT);
    if (handle == nullptr) return error(INVALID_HANDLE, "cuStreamDestroy of the null stream");
    Stream* stream = stream_of(handle, "cuStreamDestroy");
    if (stream == nullptr || stream == &driver().null_stream) return INVALID_HANDLE;
    if (stream->capture != nullptr) return error(STREAM_CAPTURE_UNSUPPORTED, "cuStreamDestroy of a stream that is being captured");
    Code code = flush(*stream);
    stream->alive = false;
    std::erase(driver().streams, stream);
    driver().count("live_streams", -1);
    return code;
}

API cuStreamSynchronize(void* handle) {
    ENTER(cuStreamSynchronize, CONTEXT | NO_CAPTURE);
    Stream* stream = stream_of(handle, "cuStreamSynchronize");
    if (stream == nullptr) return INVALID_HANDLE;
    if (stream->capture != nullptr) {
        stream->capture->invalidated = true;
        return error(STREAM_CAPTURE_UNSUPPORTED, "cuStreamSynchronize of a stream that is being captured");
    }
    driver().count("synchronizations");
    return flush(*stream);
}

/// A deferred stream goes one piece of work ahead with every question, so that a loop around this ends.
API cuStreamQuery(void* handle) {
    ENTER(cuStreamQuery, CONTEXT);
    Stream* stream = stream_of(handle, "cuStreamQuery");
    if (stream == nullptr) return INVALID_HANDLE;
    if (stream->capture != nullptr) {
        stream->capture->invalidated = true;
        return error(STREAM_CAPTURE_UNSUPPORTED, "cuStreamQuery of a stream that is being captured");
    }
    if (stream->queue.empty()) return SUCCESS;
    Code code = do_next(*stream);
    return code != SUCCESS ? code : NOT_READY;
}

API cuStreamWaitEvent(void* handle, Event* event, unsigned flags) {
    ENTER(cuStreamWaitEvent, CONTEXT);
    Stream* stream = stream_of(handle, "cuStreamWaitEvent");
    if (stream == nullptr || !is_valid(event, "the event", "cuStreamWaitEvent")) return INVALID_HANDLE;
    if (flags > 1) return error(INVALID_VALUE, "cuStreamWaitEvent: unknown flags");
    if (event->captured) return capture_wait(*stream, *event);
    if (stream->capture != nullptr && event->pending()) {
        stream->capture->invalidated = true;
        return error(STREAM_CAPTURE_ISOLATION, "cuStreamWaitEvent in a capture for work outside of it");
    }
    if (!event->pending() || event->stream == stream) return SUCCESS;
    return queue(*stream, [event, before = event->stream, record = event->recorded] {
        return flush_to(*before, *event, record);
    });
}

API cuEventCreate(Event** event, unsigned) {
    ENTER(cuEventCreate, CONTEXT);
    if (strikes("EVENT")) return OUT_OF_MEMORY;
    *event = new Event;
    register_handle(*event);
    driver().count("live_events");
    return SUCCESS;
}

API cuEventDestroy_v2(Event* event) {
    ENTER(cuEventDestroy_v2, CONTEXT);
    if (!is_valid(event, "the event", "cuEventDestroy")) return INVALID_HANDLE;
    event->alive = false;
    driver().count("live_events", -1);
    return SUCCESS;
}

API cuEventRecord(Event* event, void* handle) {
    ENTER(cuEventRecord, CONTEXT);
    Stream* stream = stream_of(handle, "cuEventRecord");
    if (stream == nullptr || !is_valid(event, "the event", "cuEventRecord")) return INVALID_HANDLE;
    event->stream = stream;
    event->captured = stream->capture != nullptr;
    if (event->captured) {
        event->capture = stream->capture;
        event->captured_nodes = stream->nodes_in_capture;
        return SUCCESS;
    }
    return queue(*stream, [event, record = ++event->recorded] {
        event->milliseconds = milliseconds();
        event->reached = std::max(event->reached, record);
        return SUCCESS;
    });
}

API cuEventSynchronize(Event* event) {
    ENTER(cuEventSynchronize, CONTEXT | NO_CAPTURE);
    if (!is_valid(event, "the event", "cuEventSynchronize")) return INVALID_HANDLE;
    if (event->captured) return error(CAPTURED_EVENT, "cuEventSynchronize of an event that was recorded in a capture");
    driver().count("synchronizations");
    return event->pending() ? flush_to(*event->stream, *event, event->recorded) : SUCCESS;
}

API cuEventQuery(Event* event) {
    ENTER(cuEventQuery, CONTEXT);
    if (!is_valid(event, "the event", "cuEventQuery")) return INVALID_HANDLE;
    if (event->captured) return error(CAPTURED_EVENT, "cuEventQuery of an event that was recorded in a capture");
    if (!event->pending()) return SUCCESS;
    Code code = do_next(*event->stream);
    return code != SUCCESS ? code : NOT_READY;
}

API cuEventElapsedTime(float* elapsed, Event* from, Event* to) {
    ENTER(cuEventElapsedTime, CONTEXT);
    for (Event* event : {from, to}) {
        if (!is_valid(event, "the event", "cuEventElapsedTime")) return INVALID_HANDLE;
        if (event->recorded == 0) return error(INVALID_HANDLE, "cuEventElapsedTime of an event that was never recorded");
        if (event->pending()) return NOT_READY;
    }
    *elapsed = static_cast<float>(to->milliseconds - from->milliseconds);
    return SUCCESS;
}
