/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* objects.h - the BPF objects that the binary carries (objects.S). */
#ifndef OX_OBJECTS_H
#define OX_OBJECTS_H

#define OX_OBJECT(name) extern const char ox_obj_##name[], ox_obj_##name##_end[]

OX_OBJECT(observe);
OX_OBJECT(nominate);
OX_OBJECT(struct_ops);
OX_OBJECT(kernel);
OX_OBJECT(priority);
OX_OBJECT(calibrate);
OX_OBJECT(score);
OX_OBJECT(selftest);
OX_OBJECT(cgroups);
OX_OBJECT(procs);
OX_OBJECT(shields);

/* An object file in memory. */
struct ox_blob {
	const void *data;
	unsigned long size;
};

#define OX_BLOB(name) ((struct ox_blob){ ox_obj_##name, \
			  (unsigned long)ox_obj_##name##_end - (unsigned long)ox_obj_##name })

#endif
