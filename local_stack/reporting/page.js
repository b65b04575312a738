'use strict';
const audio = document.querySelector('audio');
const picture = document.querySelector('.picture');
const scroller = picture.parentElement;
const head = picture.querySelector('.head');
const seconds = Number(picture.dataset.seconds);

function show() {
  const part = Math.min(audio.currentTime / seconds, 1);
  head.setAttribute('x1', `${part * 100}%`);
  head.setAttribute('x2', `${part * 100}%`);
  const x = part * picture.getBoundingClientRect().width;
  const left = scroller.scrollLeft, width = scroller.clientWidth;
  if (x < left || x > left + width * 0.9) scroller.scrollLeft = x - width * 0.1;
}

function follow() {
  show();
  if (!audio.paused) requestAnimationFrame(follow);
}

audio.addEventListener('play', follow);
audio.addEventListener('seeked', show);
picture.addEventListener('click', event => {
  const box = picture.getBoundingClientRect();
  audio.currentTime = Math.max(0, (event.clientX - box.left) / box.width) * seconds;
});
for (const button of document.querySelectorAll('.play')) {
  button.addEventListener('click', () => {
    audio.currentTime = Number(button.dataset.at);
    audio.play();
  });
}
