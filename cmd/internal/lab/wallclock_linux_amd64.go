package lab

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// atAuxvVDSO is AT_SYSINFO_EHDR of getauxval(3): where the vDSO is mapped.
const atAuxvVDSO = 33

// bendClock makes the wall clock of this process differ from the machine's by
// the seconds in a file, which may change at any time (wallClock.set).
//
// Every reading of the clock by a Go program on Linux is a call of
// __vdso_clock_gettime, a function that the kernel maps into each process, in a
// page of the process's own once it is written to. It is replaced by one that
// asks the kernel by system call and adds the difference, for the wall clock only.
func bendClock(path string) error {
	base, err := vdsoBase()
	if err != nil {
		return err
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	image := make([]byte, 2*os.Getpagesize())
	if _, err := memory.ReadAt(image, base); err != nil {
		return fmt.Errorf("read the vDSO: %w", err)
	}
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return fmt.Errorf("read the vDSO: %w", err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("read the vDSO: %w", err)
	}
	difference, err := mapped(path)
	if err != nil {
		return err
	}
	code := []byte{
		0xb8, 228, 0, 0, 0, // mov eax, 228: the number of clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi: which clock? 0 is CLOCK_REALTIME
		0x75, 16, // jnz to ret
		0x48, 0xb9, // mov rcx, the address of the difference
	}
	code = binary.LittleEndian.AppendUint64(code, uint64(uintptr(unsafe.Pointer(&difference[0]))))
	code = append(code, 0x48, 0x8b, 0x09, // mov rcx, [rcx]
		0x48, 0x01, 0x0e, // add [rsi], rcx: seconds
		0xc3) // ret
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" && s.Size >= uint64(len(code)) {
			_, err := memory.WriteAt(code, base+int64(s.Value))
			return err
		}
	}
	return errors.New("the vDSO has no clock_gettime that can be replaced")
}

// vdsoBase returns the address of the vDSO.
func vdsoBase() (int64, error) {
	b, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return 0, err
	}
	for ; len(b) >= 16; b = b[16:] {
		if binary.NativeEndian.Uint64(b) == atAuxvVDSO {
			return int64(binary.NativeEndian.Uint64(b[8:])), nil
		}
	}
	return 0, errors.New("this process has no vDSO")
}

// mapped returns the eight bytes of the file, as they are at any moment. The
// mapping lives as long as the process.
func mapped(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
}
