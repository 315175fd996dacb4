// From addresses of instructions to lines of kernel source. A report is put together while a fibre with a small stack runs,
// so it only holds marks; they are replaced by source lines afterwards, with the help of addr2line where it is installed.
#pragma once
#include <string>

namespace brantas::emulator {

/// A mark for the place of a call that returns to `code`; empty for null.
std::string code_mark(const void* code);
/// The text with every mark replaced by " (file.cu:12)".
std::string with_sources(const std::string& text);

}  // namespace brantas::emulator
