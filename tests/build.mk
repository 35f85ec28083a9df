# Test guests, unit tests and fuzz targets. Included by the root Makefile.

# --- test guests: bare images, and Debian's kernel with an initrd -------------------------------------------------

GUEST_DIR  := $(BUILD)/guest
GUEST_LIB  := $(patsubst %,$(GUEST_DIR)/obj/%.o,$(wildcard tests/guest/lib/*.c tests/guest/lib/*.S))
GUEST_ELFS := $(patsubst tests/guest/%.c,$(GUEST_DIR)/%.elf,$(wildcard tests/guest/*.c))

guests: $(GUEST_ELFS) $(GUEST_DIR)/attack.elf $(GUEST_DIR)/initrd.cpio.gz
	@:

$(GUEST_DIR)/obj/%.o: %
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(GUEST_CFLAGS) -c $< -o $@

$(GUEST_DIR)/%.elf: $(GUEST_DIR)/obj/tests/guest/%.c.o $(GUEST_LIB) linker/guest.ld
	$(call say,LD)$(LD) $(LDFLAGS) -T linker/guest.ld $< $(GUEST_LIB) -o $@

# The attack kit: many files, one image.
ATTACK_OBJ := $(patsubst %,$(GUEST_DIR)/obj/%.o,$(wildcard tests/guest/attack/*.c tests/guest/attack/*.S))

$(GUEST_DIR)/attack.elf: $(ATTACK_OBJ) $(GUEST_LIB) linker/guest.ld
	$(call say,LD)$(LD) $(LDFLAGS) -T linker/guest.ld $(ATTACK_OBJ) $(GUEST_LIB) -o $@

$(THIRD)/linux-stock/.fetched: tools/fetch-kernel.sh
	@tools/fetch-kernel.sh stock

$(THIRD)/linux-backports/.fetched: tools/fetch-kernel.sh
	@tools/fetch-kernel.sh backports

GUEST_PROGRAMS := $(GUEST_DIR)/traffic $(GUEST_DIR)/outage

$(GUEST_PROGRAMS): $(GUEST_DIR)/%: tests/guest/linux/%.c tests/guest/linux/common.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -std=gnu11 -I. -O2 -static -Wall -Wextra -Wshadow -Werror $< -o $@

GUEST_INPUT := tools/guest.py tests/guest/linux/init $(GUEST_PROGRAMS)

$(GUEST_DIR)/initrd.cpio.gz: $(THIRD)/linux-stock/.fetched $(GUEST_INPUT)
	$(call say,INITRD)tools/guest.py --kernel $(THIRD)/linux-stock --init tests/guest/linux --programs $(GUEST_PROGRAMS) --out $(GUEST_DIR)

# The same guest with the kernel of this release's backports (Debian 12: the 6.12 of Debian 13).
.PHONY: guest-backports
guest-backports: $(GUEST_DIR)/backports/initrd.cpio.gz
$(GUEST_DIR)/backports/initrd.cpio.gz: $(THIRD)/linux-backports/.fetched $(GUEST_INPUT)
	$(call say,INITRD)tools/guest.py --kernel $(THIRD)/linux-backports --init tests/guest/linux --programs $(GUEST_PROGRAMS) --out $(@D)

# --- the firmware's applications that stand before BOOTX64.EFI, on files of boot/ -----------------------------------

PRE_OBJ := $(BUILD)/pre/chain.o $(patsubst %,$(BUILD)/boot/%.c.o,file firmware libc text)

$(BUILD)/pre/%.o: tests/boot/%.c $(THIRD)/inih/.fetched
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(BOOT_CFLAGS) -c $< -o $@

$(BUILD)/pre/%.so: $(BUILD)/pre/%.o $(PRE_OBJ)
	$(call say,LD)$(EFI_LINK)

$(BUILD)/pre/%.efi: $(BUILD)/pre/%.so
	$(call say,PE)$(EFI_PE)

.PHONY: bend piix4
bend piix4: %: $(BUILD)/pre/%.efi

# --- the hypervisor's files with another main, for the bench ---------------------------------------------------------

BENCH_OBJ := $(filter-out $(BUILD)/hv/kernel/main.c.o,$(HV_OBJ)) $(BUILD)/bench/iommu.o

$(BUILD)/bench/iommu.o: tests/bench/iommu.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(HV_CFLAGS) -c $< -o $@

.PHONY: bench-images
bench-images: $(BUILD)/bench/iommu.elf
$(BUILD)/bench/iommu.elf: $(BENCH_OBJ) linker/hv.ld $(BUILD)/hv.elf
	$(call say,LD)$(LD) $(LDFLAGS) -T linker/hv.ld $(BENCH_OBJ) $(BUILD)/hv/symbols0.o -o $@

# --- the I/O domain's objects with one file more: it dies when it is told to (tests/system/iodomain.py) ----------------

.PHONY: iodom-orders
iodom-orders: $(BUILD)/iodom-orders.elf

$(BUILD)/iodom-orders.o: tests/iodom/orders.c | $(BUILD)/iodom.elf
	$(call say,CC)$(CC) $(IODOM_CFLAGS) -c $< -o $@

$(BUILD)/iodom-orders.elf: $(BUILD)/iodom-orders.o $(BUILD)/iodom.elf
	$(call say,LD)$(LD) $(LDFLAGS) --gc-sections $(addprefix --wrap=,echo_start hypercall buf_alloc igb_vf_ops) -T linker/iodom.ld $< $(IODOM_OBJ) $(LWIP_OBJ) \
	    $(NEWLIB)/install/x86_64-elf/lib/libc.a $(shell gcc -print-libgcc-file-name) -o $@

# --- unit tests: the real files on the host ------------------------------------------------------------------------

HOST_CFLAGS  = -std=gnu11 -g -O1 -I. -I$(THIRD)/inih/src -MMD -MP -MF $@.d -MT $@ -Wall -Wextra
UNIT_CFLAGS  = $(HOST_CFLAGS) -no-pie -fno-pie -fsanitize=address,undefined -fno-sanitize-recover=undefined
UNIT_TESTS  := $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/unit/*_test.c tests/unit/*/*_test.c tests/unit/*/*/*_test.c))

# The I/O domain's and the loader's files know nothing of kernel/cpu/x86.h.
fake_x86 = $(if $(filter tests/unit/drivers/% tests/unit/boot/%,$(1)),,-include tests/unit/fake/x86.h)

unit: $(UNIT_TESTS)
	@:

$(BUILD)/unit/%_test: tests/unit/%_test.c | $(THIRD)/inih/.fetched
	@mkdir -p $(@D)
	$(call say,UNIT)$(CC) $(UNIT_CFLAGS) $(call fake_x86,$<) $< -o $@

# --- fuzz targets --------------------------------------------------------------------------------------------------

FUZZ_CFLAGS   = $(HOST_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZ_TARGETS := $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/fuzz/*_fuzz.c))

fuzz: $(FUZZ_TARGETS)
	@:

$(BUILD)/fuzz/%_fuzz: tests/fuzz/%_fuzz.c | $(THIRD)/inih/.fetched
	@mkdir -p $(@D)
	$(call say,FUZZ)clang $(FUZZ_CFLAGS) -include tests/unit/fake/x86.h $< -o $@

# --- for tests/lint ------------------------------------------------------------------------------------------------

.PHONY: tcb-objects bare-guests
tcb-objects: $(HV_OBJ)
bare-guests: $(GUEST_ELFS) $(GUEST_DIR)/attack.elf

-include $(wildcard $(BUILD)/pre/*.d) $(UNIT_TESTS:=.d) $(FUZZ_TARGETS:=.d) $(GUEST_LIB:.o=.d) $(ATTACK_OBJ:.o=.d) $(GUEST_ELFS:$(GUEST_DIR)/%.elf=$(GUEST_DIR)/obj/tests/guest/%.c.d)
