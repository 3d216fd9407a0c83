/* SPDX-License-Identifier: MIT */
/*
 * device/capture - wrappers of what a device may have to run many launches as
 * one piece; device.h says what each does.
 * Must not know: plans, packs, files, policy.
 */
#ifndef FINF_DEVICE_CAPTURE_H
#define FINF_DEVICE_CAPTURE_H

#include "device/device.h"

bool finf_device_captures(const struct finf_device *dev);
/** Only then may begin be told of more than one branch. */
bool finf_device_captures_branches(const struct finf_device *dev);
/** finf_device_capture_begin - 0; -EOPNOTSUPP: the device does not. */
int finf_device_capture_begin(struct finf_device *dev, uint32_t branches, uint32_t marks,
			      struct finf_diag *diag);
int finf_device_capture_branch(struct finf_device *dev, uint32_t branch);
int finf_device_capture_mark(struct finf_device *dev, uint32_t mark);
int finf_device_capture_await(struct finf_device *dev, uint32_t mark);
int finf_device_capture_end(struct finf_device *dev, struct finf_captured **io_captured,
			    struct finf_diag *diag);
int finf_device_captured_run(struct finf_device *dev, struct finf_captured *captured);
/** NULL is fine. */
void finf_device_captured_free(struct finf_device *dev, struct finf_captured *captured);

#endif
