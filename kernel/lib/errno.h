/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors are negative errno values; the numbers are Linux's, so that ABI users read them without a table. */
#pragma once

#define EPERM      1
#define ENOENT     2
#define EIO        5
#define EAGAIN     11
#define ENOMEM     12
#define EFAULT     14
#define EBUSY      16
#define EEXIST     17
#define ENODEV     19
#define EINVAL     22
#define ENOSPC     28
#define ERANGE     34
#define ENOSYS     38
#define ETIMEDOUT  110
#define EOPNOTSUPP 95
