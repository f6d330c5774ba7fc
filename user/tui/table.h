/* SPDX-License-Identifier: BSD-2-Clause */
/* table.h - the sink for people: the system's figures, what fires, the processes, and whether to trust it. See docs/output.md. */
#ifndef MBTRACE_TUI_TABLE_H
#define MBTRACE_TUI_TABLE_H

#include "export/sink.h"

extern const struct sink_ops table_sink;

#endif
