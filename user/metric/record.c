// SPDX-License-Identifier: BSD-2-Clause
#include "metric/record.h"

const char *alert_state_name(enum alert_state state)
{
	static const char *const names[] = {
		[ALERT_PENDING] = "pending",
		[ALERT_FIRING] = "firing",
		[ALERT_RESOLVED] = "resolved",
		[ALERT_NODATA] = "nodata",
	};

	return names[state];
}
