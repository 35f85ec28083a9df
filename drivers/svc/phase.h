/* SPDX-License-Identifier: BSD-2-Clause */
/* The phases of a move in their order (migrate.c), and what they are called where they are reported. */
#pragma once

enum phase {
    BEGIN,
    STAGE,
    PARK,
    FREEZE,
    STOP,
    QUIESCE,
    SAVE,
    REPLAY,
    LOAD,
    SWITCH,
    START,
    RESUME,
    FINISH,
    PHASES
};

extern const char *const phase_name[PHASES];
