// Capture of streams into graphs, and graphs. A captured launch or copy does not happen; it becomes a node, and the nodes
// are done in the order of their capture each time the graph is launched, which is one of the orders that the graph allows.
#include <algorithm>

#include "driver.hpp"

namespace brantas::emulator {
namespace {

struct GraphExec : Handle {
    std::vector<Node> nodes;
};

void end(Capture* capture) {
    for (Stream* stream : capture->joined) stream->capture = nullptr;
    capture->origin->capture = nullptr;
    std::erase(driver().captures, capture);
}

/// Whether work of streams that a capture drew in has not been waited for by its origin.
bool is_unjoined(const Capture& capture) {
    return std::any_of(capture.joined.begin(), capture.joined.end(),
                       [](const Stream* stream) { return stream->nodes_joined < stream->nodes_in_capture; });
}

}  // namespace
}  // namespace brantas::emulator

using namespace brantas::emulator;

API cuStreamBeginCapture_v2(void* handle, int mode) {
    ENTER(cuStreamBeginCapture_v2, CONTEXT);
    Stream* stream = stream_of(handle, "cuStreamBeginCapture");
    if (stream == nullptr) return INVALID_HANDLE;
    if (mode < 0 || mode > 2) return error(INVALID_VALUE, "cuStreamBeginCapture: unknown mode");
    if (stream == &driver().null_stream)
        return error(STREAM_CAPTURE_UNSUPPORTED, "cuStreamBeginCapture of the null stream");
    if (stream->capture != nullptr)
        return error(INVALID_VALUE, "cuStreamBeginCapture of a stream that is being captured");
    auto* capture = new Capture;  // stays: events may point to it
    capture->origin = stream;
    capture->id = driver().next_number++;
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    stream->capture = capture;
    stream->nodes_in_capture = 0;
    driver().captures.push_back(capture);
    return SUCCESS;
}

API cuStreamEndCapture(void* handle, Graph** graph) {
    ENTER(cuStreamEndCapture, CONTEXT);
    Stream* stream = stream_of(handle, "cuStreamEndCapture");
    if (stream == nullptr) return INVALID_HANDLE;
    *graph = nullptr;
    Capture* capture = stream->capture;
    if (capture == nullptr || capture->origin != stream)
        return error(capture == nullptr ? INVALID_VALUE : STREAM_CAPTURE_UNMATCHED,
                     "cuStreamEndCapture of a stream whose capture did not begin");
    if (capture->mode != 2 && capture->thread != std::this_thread::get_id())
        return error(STREAM_CAPTURE_UNMATCHED, "cuStreamEndCapture in another thread than the capture's");
    end(capture);
    if (capture->invalidated)
        return error(STREAM_CAPTURE_INVALIDATED, "cuStreamEndCapture: the capture was spoilt before (" + driver().last_error + ")");
    if (is_unjoined(*capture))
        return error(STREAM_CAPTURE_UNJOINED, "cuStreamEndCapture: the stream has not waited for work of other streams in the capture");
    *graph = capture->graph.release();
    register_handle(*graph);
    driver().count("live_graphs");
    return SUCCESS;
}

API cuStreamIsCapturing(void* handle, int* status) {
    ENTER(cuStreamIsCapturing, CONTEXT);
    Stream* stream = stream_of(handle, "cuStreamIsCapturing");
    if (stream == nullptr) return INVALID_HANDLE;
    *status = stream->capture == nullptr ? 0 : stream->capture->invalidated ? 2 : 1;
    return SUCCESS;
}

API cuStreamGetCaptureInfo_v2(
    void* handle, int* status, uint64_t* id, Graph** graph, void** dependencies, size_t* count) {
    ENTER(cuStreamGetCaptureInfo_v2, CONTEXT);
    Stream* stream = stream_of(handle, "cuStreamGetCaptureInfo");
    if (stream == nullptr) return INVALID_HANDLE;
    *status = stream->capture == nullptr ? 0 : stream->capture->invalidated ? 2 : 1;
    if (id != nullptr && stream->capture != nullptr) *id = stream->capture->id;
    if (graph != nullptr) *graph = nullptr;
    if (dependencies != nullptr) *dependencies = nullptr;
    if (count != nullptr) *count = 0;
    return SUCCESS;
}

API cuStreamGetCaptureInfo(void* handle, int* status, uint64_t* id) {
    return cuStreamGetCaptureInfo_v2(handle, status, id, nullptr, nullptr, nullptr);
}

API cuGraphGetNodes(Graph* graph, void** nodes, size_t* count) {
    ENTER(cuGraphGetNodes, INITIALIZED);
    if (!is_valid(graph, "the graph", "cuGraphGetNodes")) return INVALID_VALUE;
    size_t all = graph->nodes.size();
    if (nodes != nullptr)
        for (size_t i = 0; i < *count; i++) nodes[i] = i < all ? &graph->nodes[i] : nullptr;
    *count = nodes == nullptr ? all : std::min(*count, all);
    return SUCCESS;
}

API cuGraphNodeGetType(Node* node, int* kind) {
    ENTER(cuGraphNodeGetType, INITIALIZED);
    *kind = static_cast<int>(node->kind);
    return SUCCESS;
}

API cuGraphInstantiateWithFlags(GraphExec** exec, Graph* graph, unsigned long long) {
    ENTER(cuGraphInstantiateWithFlags, CONTEXT);
    if (!is_valid(graph, "the graph", "cuGraphInstantiate")) return INVALID_VALUE;
    if (strikes("GRAPH")) return OUT_OF_MEMORY;
    *exec = new GraphExec;
    (*exec)->nodes = graph->nodes;
    register_handle(*exec);
    driver().count("live_graph_execs");
    return SUCCESS;
}

API cuGraphInstantiate_v2(GraphExec** exec, Graph* graph, void**, char*, size_t) {
    return cuGraphInstantiateWithFlags(exec, graph, 0);
}

API cuGraphUpload(GraphExec* exec, void* handle) {
    ENTER(cuGraphUpload, CONTEXT);
    if (stream_of(handle, "cuGraphUpload") == nullptr) return INVALID_HANDLE;
    return is_valid(exec, "the graph", "cuGraphUpload") ? SUCCESS : INVALID_VALUE;
}

API cuGraphLaunch(GraphExec* exec, void* handle) {
    ENTER(cuGraphLaunch, CONTEXT);
    Stream* stream = stream_of(handle, "cuGraphLaunch");
    if (stream == nullptr) return INVALID_HANDLE;
    if (!is_valid(exec, "the graph", "cuGraphLaunch")) return INVALID_VALUE;
    if (stream->capture != nullptr) {
        stream->capture->invalidated = true;
        return error(NOT_SUPPORTED, "cuGraphLaunch into a stream that is being captured is not modelled");
    }
    if (strikes("LAUNCH")) return LAUNCH_OUT_OF_RESOURCES;
    driver().count("graph_launches");
    return submit(*stream, NodeKind::KERNEL, [exec] {
        if (!exec->alive) return error(INVALID_HANDLE, "a graph was destroyed before its launch was done");
        for (const Node& node : exec->nodes) {
            if (Code code = node.act()) return code;
            if (node.kind == NodeKind::KERNEL) driver().count("graph_kernels");
        }
        return SUCCESS;
    });
}

API cuGraphExecDestroy(GraphExec* exec) {
    ENTER(cuGraphExecDestroy, INITIALIZED);
    if (!is_valid(exec, "the graph", "cuGraphExecDestroy")) return INVALID_VALUE;
    exec->alive = false;
    exec->nodes = {};
    driver().count("live_graph_execs", -1);
    return SUCCESS;
}

API cuGraphDestroy(Graph* graph) {
    ENTER(cuGraphDestroy, INITIALIZED);
    if (!is_valid(graph, "the graph", "cuGraphDestroy")) return INVALID_VALUE;
    graph->alive = false;
    graph->nodes = {};
    driver().count("live_graphs", -1);
    return SUCCESS;
}
