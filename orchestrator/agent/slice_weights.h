/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pods request of the processor, summed up in the slices above them.
 *
 * Pods are spread over sub-slices of their QoS class (systemd/units.h says why), and the kernel shares the processor
 * among siblings: were all slices of one weight, a pod alone in its slice would get as much as three beside each other.
 * So each slice of the classes that request something weighs what its pods weigh together. BestEffort requests nothing:
 * its slices stay as systemd makes them, and the class has the least weight there is (podium-besteffort.slice).
 *
 * With MemoryQoS the memory that pods request is summed up in the same way: the kernel keeps it for a pod (memory.min)
 * only as far as it is kept for every slice above it.
 *
 * Where the kernel's processor controller is missing nothing is said to systemd at all.
 *
 * Source: systemd.resource-control(5), CPUWeight=; the kubelet's qos container manager does the same with two classes.
 * The loop's thread.
 */
#ifndef PODIUM_AGENT_SLICE_WEIGHTS_H
#define PODIUM_AGENT_SLICE_WEIGHTS_H

struct agent;
struct agent_pod;

/* The pod's unit is there or about to be (told before it starts); again for the same pod: nothing. */
void slice_weights_add(struct agent_pod *pod);
/* It is gone; also for pods that never counted. */
void slice_weights_remove(struct agent_pod *pod);

#endif
