# Lastmile. `make help` lists the targets; ARCHITECTURE.md explains the images.

BUILD ?= build
THIRD ?= build/third_party
BOARD ?= amd
CFG   ?= tests/guest/demo/$(if $(filter vmx ryzen,$(BOARD)),plain,lastmile).cfg
OUT   ?= $(BUILD)/lastmile.img
T     ?=
JOBS  ?= $(shell nproc)

# Passed on to tools/ and tests/: which emulator, firmware and size of machine a board gets.
export QEMU OVMF BOCHS SMP MEM NETDEV QEMU_ARGS BUILD THIRD BOARD SLOW

# `make V=1` shows whole commands, otherwise a line says what is made.
ifeq ($(V),1)
say =
else
say = @printf '  %-6s %s\n' '$(1)' '$(patsubst $(BUILD)/%,%,$@)';
endif

WARN    := -Wall -Wextra -Wconversion -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wcast-qual -Werror
COMMON  := -std=gnu11 -I. -O2 -g -MMD -MP $(WARN) -fno-strict-aliasing -fno-common
TARGET  := -m64 -ffreestanding -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables

# The TCB never touches the FPU: the registers there are always a guest's.
HV_CFLAGS    := $(COMMON) $(TARGET) -fno-pic -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-omit-frame-pointer
GUEST_CFLAGS := $(COMMON) $(TARGET) -fno-pic -mcmodel=small -mno-red-zone -mgeneral-regs-only
LDFLAGS      := -nostdlib -static --fatal-warnings -z noexecstack -z max-page-size=4096 --build-id=none

IMAGES := $(BUILD)/BOOTX64.EFI $(BUILD)/hv.elf $(BUILD)/iodom.elf

.DEFAULT_GOAL := all
.PHONY: all run test attack bench image size setup guests unit fuzz clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: setup
	@$(MAKE) --no-print-directory -j$(JOBS) images

help:
	@sed -n 's/^#: //p' Makefile

#: make [all]                      install what is missing, build the images under build/
#: make run [BOARD=amd] [CFG=file] boot the board with the operator's console on the terminal
#: make test [T=pattern] [SLOW=1]  unit, lint, fuzz and system tests; SLOW=1: also those that take minutes each
#: make attack [BOARD=amd]         what a hostile guest can do on the board: a table of attacks; ROWS=a,b: only those
#: make bench [PARTS=a,b]          the benchmark table, and build/bench/results.json; PARTS=exits,services: only those
#: make image CFG=file OUT=file    a bootable disk image with all that the file names
#: make size                       lines of code, bytes per image, memory at run time
#: make clean                      remove what was built (not the fetched sources)

setup:
	@tools/setup.sh

.PHONY: images
images: $(IMAGES) guests piix4
	@:

# --- hv.elf: the trusted computing base -------------------------------------------------------------------------

HV_SRC := $(wildcard kernel/*.c kernel/*/*.c iommu/*.c iommu/*/*.c vm/*.c vm/*/*.c \
                     kernel/*.S kernel/*/*.S vm/*.S vm/*/*.S)
HV_OBJ := $(patsubst %,$(BUILD)/hv/%.o,$(HV_SRC))

$(BUILD)/hv/%.c.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(HV_CFLAGS) -c $< -o $@

$(BUILD)/hv/%.S.o: %.S
	@mkdir -p $(@D)
	$(call say,AS)$(CC) $(HV_CFLAGS) -c $< -o $@

# Linked twice: the first link's symbols become the table that panic() reads, which sits last and moves nothing.
$(BUILD)/hv.elf: $(HV_OBJ) linker/hv.ld tools/symbols.sh
	@tools/symbols.sh </dev/null >$(BUILD)/hv/symbols0.S
	@$(CC) $(HV_CFLAGS) -c $(BUILD)/hv/symbols0.S -o $(BUILD)/hv/symbols0.o
	@$(LD) $(LDFLAGS) -T linker/hv.ld $(HV_OBJ) $(BUILD)/hv/symbols0.o -o $(BUILD)/hv/stage0.elf
	@nm -n $(BUILD)/hv/stage0.elf | tools/symbols.sh >$(BUILD)/hv/symbols.S
	@$(CC) $(HV_CFLAGS) -c $(BUILD)/hv/symbols.S -o $(BUILD)/hv/symbols.o
	$(call say,LD)$(LD) $(LDFLAGS) -T linker/hv.ld -Map $(BUILD)/hv.map $(HV_OBJ) $(BUILD)/hv/symbols.o -o $@

# --- third-party sources: fetched through apt, built under build/third_party, never patched ---------------------

$(THIRD)/%/.fetched: tools/fetch.sh
	@tools/fetch.sh $*

# --- BOOTX64.EFI ------------------------------------------------------------------------------------------------

include boot/build.mk

# --- iodom.elf --------------------------------------------------------------------------------------------------

include drivers/build.mk

# --- test guests, unit tests, fuzz targets ----------------------------------------------------------------------

include tests/build.mk

# --- what people type -------------------------------------------------------------------------------------------

image: all
	@tools/mkimage.py --cfg $(CFG) --out $(OUT) --build $(BUILD)

run: all
	@tools/run.py --board $(BOARD) --cfg $(CFG) --build $(BUILD)

test: setup
	@$(MAKE) --no-print-directory -j$(JOBS) images unit fuzz bench-images
	@tests/run.py --build $(BUILD) $(if $(T),--only '$(T)')

attack: all
	@tests/attack.py --board $(BOARD) --build $(BUILD) --rows '$(ROWS)'

bench: all bench-images
	@tests/bench/run.py --build $(BUILD) $(if $(PARTS),--parts '$(PARTS)')

size: all
	@tools/size.py --build $(BUILD)

clean:
	@find $(BUILD) -mindepth 1 -maxdepth 1 ! -name third_party ! -name apt -exec rm -rf {} + 2>/dev/null || true

-include $(HV_OBJ:.o=.d)
