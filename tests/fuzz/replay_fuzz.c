// SPDX-License-Identifier: BSD-2-Clause
/*
 * Any bytes as a file to replay: nothing crashes, and what is taken is written as JSON Lines that are taken again and
 * are written the same.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "export/replay.h"
#include "export/sink.h"

static int write_record(struct sink *sink, const struct replay_record *record)
{
	switch (record->kind) {
	case REPLAY_HEADER:
		return json_sink.header(sink, record->header);
	case REPLAY_SAMPLE:
		return json_sink.sample(sink, record->sample);
	case REPLAY_ALERT:
		return json_sink.alert(sink, record->alert);
	case REPLAY_SUMMARY:
		return json_sink.summary(sink, record->summary);
	default:
		return 0;
	}
}

/* Replays what `fd` holds into `output`; returns replay's verdict. */
static int copy(int fd, struct output *output)
{
	struct sink_options options = { .histograms = true, .cmdline = true };
	struct replay_record record = { .kind = REPLAY_SAMPLE };
	struct replay *r;
	struct sink *sink;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (replay_open(path, &r) || json_sink.open(&options, output, &sink))
		abort();
	while ((err = replay_next(r, &record)) == 0 && record.kind != REPLAY_END)
		if (write_record(sink, &record))
			abort();
	if ((err == -EBADMSG) != (*replay_error(r) != 0))
		abort();
	json_sink.close(sink);
	replay_close(r);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct output once = OUTPUT_INIT, twice = OUTPUT_INIT;
	struct buf first = BUF_INIT, second = BUF_INIT;
	int fd = memfd_create("input", MFD_CLOEXEC);

	once.fd = memfd_create("once", MFD_CLOEXEC);
	twice.fd = memfd_create("twice", MFD_CLOEXEC);
	if (fd < 0 || once.fd < 0 || twice.fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	copy(fd, &once);
	if (copy(once.fd, &twice))
		abort();
	if (file_reread(once.fd, &first, SIZE_MAX) || file_reread(twice.fd, &second, SIZE_MAX))
		abort();
	if (first.len != second.len || memcmp(buf_str(&first), buf_str(&second), first.len) != 0)
		abort();
	buf_release(&first);
	buf_release(&second);
	output_release(&once);
	output_release(&twice);
	close(fd);
	return 0;
}
