package sample

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"

	"sidekeep/localstore/record"
)

const (
	photoCount  = 20 // JPEG with EXIF, one of them large enough for several chunks
	pngCount    = 5
	gifCount    = 3
	webpCount   = 3
	photoWidth  = 320
	photoHeight = 240
)

func pictures(s *Set) {
	r := newRandom("pictures")
	put := func(name string, data []byte) {
		s.add("pictures/"+name, data)
		s.Counts[record.Pictures]++
	}
	for i := range photoCount {
		w, h, quality := photoWidth, photoHeight, 75
		if i == 0 {
			w, h, quality = 1280, 960, 88
		}
		put(fmt.Sprintf("IMG_%04d.jpg", 1000+i*7), photo(r, w, h, quality, i))
	}
	for i := range pngCount {
		var b bytes.Buffer
		must(png.Encode(&b, drawing(r, 96, 64)))
		put(fmt.Sprintf("screen-%d.png", i+1), b.Bytes())
	}
	for i := range gifCount {
		put(fmt.Sprintf("wave-%d.gif", i+1), animation(r))
	}
	for i := range webpCount {
		put(fmt.Sprintf("sticker-%d.webp", i+1), webpLossless(drawing(r, 48, 40)))
	}
}

// Photo returns a JPEG like those of the sample that is not one of them; the
// name decides what is on it.
func Photo(name string) []byte { return photo(newRandom(name), 1280, 960, 88, 0) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// photo returns a JPEG with EXIF: a date, and for some an orientation, a place
// and the other byte order.
func photo(r *random, w, h, quality, i int) []byte {
	var b bytes.Buffer
	must(jpeg.Encode(&b, scene(r, w, h), &jpeg.Options{Quality: quality}))
	e := exif{
		bigEndian: i%4 == 3,
		taken:     fmt.Sprintf("2026:%02d:%02d %02d:%02d:%02d", r.between(1, 11), r.between(1, 28), r.below(24), r.below(60), r.below(60)),
		zone:      []string{"+01:00", "+02:00", "-05:00"}[i%3],
	}
	if i%3 == 1 {
		e.orientation = []uint16{3, 6, 8}[i/3%3]
	}
	if i%2 == 0 {
		e.place = true
		e.north, e.east = r.between(-60, 70)*3600+r.below(3600), r.between(-170, 170)*3600+r.below(3600)
	}
	return e.insert(b.Bytes())
}

// scene paints a sky over water with some boats and a little grain.
func scene(r *random, w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	hue, horizon := r.below(90), h*r.between(40, 65)/100
	for y := range h {
		for x := range w {
			grain := r.below(7)
			c := color.RGBA{uint8(120 + hue + 60*y/h + grain), uint8(150 + 50*y/h + grain), uint8(220 - 80*y/h + grain), 255}
			if y > horizon {
				wave := (x*3 + y*y/7) % 24
				c = color.RGBA{uint8(20 + wave), uint8(70 + wave + grain), uint8(110 + hue/2 + wave), 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	for range r.between(1, 4) {
		x, size := r.below(w), max(3, w/r.between(8, 20))
		sail := color.RGBA{uint8(r.between(180, 255)), uint8(r.between(60, 240)), uint8(r.between(60, 240)), 255}
		for dy := range size {
			draw.Draw(m, image.Rect(x, horizon-dy, x+(size-dy)/2+1, horizon-dy+1), image.NewUniform(sail), image.Point{}, draw.Src)
		}
	}
	return m
}

// drawing paints flat rectangles, as screens and stickers have them.
func drawing(r *random, w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, image.NewUniform(color.NRGBA{245, 240, 230, 255}), image.Point{}, draw.Src)
	for range 12 {
		x, y := r.below(w), r.below(h)
		c := color.NRGBA{uint8(r.below(256)), uint8(r.below(256)), uint8(r.below(256)), 255}
		draw.Draw(m, image.Rect(x, y, x+r.between(4, w/3), y+r.between(4, h/3)), image.NewUniform(c), image.Point{}, draw.Src)
	}
	return m
}

func animation(r *random) []byte {
	var g gif.GIF
	for range 4 {
		frame := image.NewPaletted(image.Rect(0, 0, 60, 40), palette.WebSafe)
		draw.Draw(frame, frame.Rect, drawing(r, 60, 40), image.Point{}, draw.Src)
		g.Image = append(g.Image, frame)
		g.Delay = append(g.Delay, 20)
	}
	var b bytes.Buffer
	must(gif.EncodeAll(&b, &g))
	return b.Bytes()
}
