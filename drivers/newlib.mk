# newlib for the I/O domain: the host's compiler with a bare target; built again only when this file changes.

NEWLIB_TOOLS := CC_FOR_TARGET=gcc AR_FOR_TARGET=ar RANLIB_FOR_TARGET=ranlib AS_FOR_TARGET=as LD_FOR_TARGET=ld \
                NM_FOR_TARGET=nm OBJDUMP_FOR_TARGET=objdump READELF_FOR_TARGET=readelf STRIP_FOR_TARGET=strip
NEWLIB_OPTS  := --target=x86_64-elf --prefix=$(NEWLIB)/install --disable-multilib --disable-nls --disable-libgloss \
                --disable-newlib-supplied-syscalls --disable-newlib-multithread --disable-newlib-wide-orient \
                --enable-lite-exit --enable-newlib-nano-malloc --enable-newlib-global-atexit

# newlib 3.3 is older than gcc 14, which takes implicit declarations for errors.
NEWLIB_CFLAGS := $(IODOM_TARGET) -w -std=gnu11 -Wno-error=implicit-function-declaration -Wno-error=implicit-int \
                 -Wno-error=int-conversion -Wno-error=incompatible-pointer-types

# A make of its own: what was given to ours on the command line (CC, BUILD) is not meant for newlib's. Only one at a time builds it;
# one that had to wait finds it built.
$(NEWLIB)/install/.built: $(THIRD)/newlib/.fetched drivers/newlib.mk
	@exec 9>$(THIRD)/.newlib.lock && flock 9 && \
	if [ $@ -nt $(THIRD)/newlib/.fetched ] && [ $@ -nt drivers/newlib.mk ]; then exit 0; fi; \
	echo "newlib: building (about a minute, once; log in $(THIRD)/newlib/build.log)" && \
	rm -rf $(NEWLIB)/build $(NEWLIB)/install && mkdir -p $(NEWLIB)/build && cd $(NEWLIB)/build && \
	unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL && \
	{ ../src/configure $(NEWLIB_OPTS) $(NEWLIB_TOOLS) CFLAGS_FOR_TARGET="$(NEWLIB_CFLAGS)" && \
	  make -j$$(nproc) MAKEINFO=true all-target-newlib && make MAKEINFO=true install-target-newlib; } \
	>../build.log 2>&1 || { tail -20 ../build.log; exit 1; }; \
	cd .. && rm -rf build && touch $@
